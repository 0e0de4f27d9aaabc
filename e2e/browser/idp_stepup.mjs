// A page that needs a second factor, in a real Chromium, for the Go test that starts it:
//   node idp_stepup.mjs '{"site": …, "app": …, "user": …, "shots": …}'
// site: the identity provider's origin; app: the origin of a site whose /admin needs two factors and whose /fresh needs
// a sign-in within the last ten seconds; user: name, email, password. Prints one JSON object with what it saw; the Go
// test checks it.
import { launch, shoot } from './chromium.mjs';
import { addCode, journey, press, send, signIn } from './idp.mjs';

const o = JSON.parse(process.argv[2]);
const browser = await launch();
await journey(o, browser, async ({ step, tab, seen }) => {
  const { page } = await tab();
  await signIn(page, `${o.app}/one`, o.user);
  await page.waitForURL(`${o.app}/one`);
  await step(page, 'signed in by password');
  await page.goto(`${o.app}/admin`);
  await step(page, 'without a factor');
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.waitForURL((u) => u.origin === o.app);
  await step(page, 'it is put off');

  // a user who has a factor is asked only for the code
  await page.goto(`${o.site}/account`);
  await press(page, 'button[name=kind][value=totp]');
  const { phone } = await addCode(page);
  await page.goto(`${o.app}/admin`);
  await step(page, 'asked for the code');
  await shoot(page, 'factor', o.shots, seen);
  await send(page, { code: '000000' });
  await step(page, 'a wrong code');
  await send(page, { code: await phone.code() });
  await page.waitForURL(`${o.app}/admin`);
  await step(page, 'in by the code');
  await page.goto(`${o.app}/admin/again`);
  await step(page, 'in without a question');

  // a page that requires a recent sign-in asks for the password again
  await page.waitForTimeout(11000);
  await page.goto(`${o.app}/fresh`);
  await step(page, 'too old');
  await page.getByRole('link', { name: 'Try again' }).click(); // a site asks once, and then not again for a while
  await page.waitForURL((u) => u.origin === o.site);
  await step(page, 'asked again');
  await send(page, { password: o.user.password, code: await phone.code() });
  await page.waitForURL(`${o.app}/fresh`);
  await step(page, 'in by a recent sign-in');

  // a browser that signed in with both factors is let in at once
  const second = await tab();
  await signIn(second.page, `${o.app}/one`, o.user, { code: await phone.code() });
  await second.page.waitForURL(`${o.app}/one`);
  await second.page.goto(`${o.app}/admin`);
  await step(second.page, 'in at once');
});
