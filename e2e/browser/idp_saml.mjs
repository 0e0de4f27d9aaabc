// Sign-ins at a SAML identity provider in a real Chromium, for the Go test that starts it:
//   node idp_saml.mjs '{"site": …, "app": …, "portal": …}'
// site: the identity provider's origin; app: the origin of a site that uses it; portal: the address where Keycloak
// begins a sign-in. Prints one JSON object with what it saw; the Go test checks it.
import { launch, signIn } from './chromium.mjs';
import { journey } from './idp.mjs';

const o = JSON.parse(process.argv[2]);
const browser = await launch();
await journey(o, browser, async ({ step, tab }) => {
  // from a page of the site: Keycloak's response is a form that another site posts
  const { page } = await tab();
  await page.goto(`${o.app}/docs/page?x=1`);
  await page.locator('button[name=external][value=partners]').click();
  await signIn(page, 'alice');
  await page.waitForURL(`${o.app}/docs/page?x=1`);
  await step(page, 'at the site');

  // from Keycloak's portal: the user confirms, and then gets to the site
  const other = await tab();
  await other.page.goto(o.portal);
  await signIn(other.page, 'alice');
  await other.page.locator('button[name=choice][value=continue]').waitFor();
  await step(other.page, 'asked');
  await other.page.locator('button[name=choice][value=continue]').click();
  await other.page.waitForURL((u) => u.origin === o.app && !u.pathname.startsWith('/@app/'));
  await step(other.page, 'led on');

  // again: the same user need not confirm
  await other.page.goto(o.portal);
  await other.page.waitForURL((u) => u.origin === o.app && !u.pathname.startsWith('/@app/'));
  await step(other.page, 'led on again');
});
