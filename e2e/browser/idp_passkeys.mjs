// Passkeys in a real Chromium with virtual authenticators, for the Go test that starts it:
//   node idp_passkeys.mjs '{"site": …, "app": …, "user": …, "shots": …}'
// site: the identity provider's origin; app: the origin of a site that uses it; user: name, email, password. Prints one
// JSON object with what it saw; the Go test checks it.
import { launch, shoot } from './chromium.mjs';
import { addCode, device, journey, keptCodes, press, signIn } from './idp.mjs';

const o = JSON.parse(process.argv[2]);
const page1 = `${o.app}/one`;
const browser = await launch();

// addPasskey adds the tab's device on the account page.
async function addPasskey(page, label) {
  await page.goto(`${o.site}/account`);
  await press(page, 'button[name=kind][value=passkey]');
  await page.locator('input[name=label]').fill(label);
  await press(page, '#passkey button[type=submit]');
  return keptCodes(page);
}

await journey(o, browser, async ({ step, tab, seen }) => {
  const laptop = await tab();
  const keys = await device(laptop.context, laptop.page);
  await signIn(laptop.page, page1, o.user);
  await laptop.page.waitForURL(page1);
  const codes = await addPasskey(laptop.page, 'laptop');
  await step(laptop.page, 'added', { codes: codes.length, credentials: await keys.credentials() });
  await shoot(laptop.page, 'account-with-passkey', o.shots, seen);

  // the browser offers the passkey in the username field, and nothing else is needed
  await laptop.context.clearCookies();
  await laptop.page.goto(page1);
  await laptop.page.waitForURL(page1);
  await step(laptop.page, 'signed in by autofill');

  // the button does the same if the user has closed the offer
  await keys.present(false);
  await laptop.context.clearCookies();
  await laptop.page.goto(page1);
  await step(laptop.page, 'asked for a name');
  await keys.present(true);
  await laptop.page.locator('#passkey button').click();
  await laptop.page.waitForURL(page1);
  await step(laptop.page, 'signed in by the button');

  // another device signs in with password and code, and then adds its own passkey
  await laptop.page.goto(`${o.site}/account`);
  await press(laptop.page, 'button[name=kind][value=totp]');
  const { phone } = await addCode(laptop.page);
  const tablet = await tab();
  const tabletKeys = await device(tablet.context, tablet.page);
  await signIn(tablet.page, page1, o.user, { code: await phone.code() });
  await tablet.page.waitForURL(page1);
  await addPasskey(tablet.page, 'tablet');
  await step(tablet.page, 'two devices', { credentials: await tabletKeys.credentials() });
  await tablet.context.clearCookies();
  await tablet.page.goto(page1);
  await tablet.page.waitForURL(page1);
  await step(tablet.page, 'signed in at the second device');

  // the laptop is sold: remove its passkey
  await tablet.page.goto(`${o.site}/account`);
  await press(tablet.page, 'form[action*=remove] button[aria-label*=laptop]');
  await step(tablet.page, 'asked whether to remove it');
  await press(tablet.page);
  await step(tablet.page, 'removed');
  await laptop.context.clearCookies();
  // the user chooses the passkey once; a device that is always present would answer on every page
  laptop.page.on('request', (r) => { if (r.url().endsWith('/passkey')) keys.present(false); });
  await laptop.page.goto(page1);
  await laptop.page.locator('[role=alert]:visible').first().waitFor();
  await step(laptop.page, 'a removed passkey');
});
