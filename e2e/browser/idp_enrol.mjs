// A second factor that every user must have, in a real Chromium, for the Go test that starts it:
//   node idp_enrol.mjs '{"site": …, "app": …, "user": …, "hands": …, "shots": …}'
// site: the identity provider's origin; app: the origin of a site that uses it; user: name, email, password; hands:
// reads mail. Prints one JSON object with what it saw; the Go test checks it.
import { launch, shoot } from './chromium.mjs';
import { addCode, device, journey, keptCodes, press, send, signIn } from './idp.mjs';

const o = JSON.parse(process.argv[2]);
const page1 = `${o.app}/one`;
const browser = await launch();
await journey(o, browser, async ({ step, ask, tab, seen }) => {
  // the password alone does not allow a new factor; a code from the mailbox does
  const { context, page } = await tab();
  const keys = await device(context, page);
  await signIn(page, page1, o.user);
  await step(page, 'asked for a mailed code');
  await shoot(page, 'mailed-code', o.shots, seen);
  await send(page, { code: '000000' });
  await step(page, 'a wrong mailed code');
  await send(page, { code: await ask('mailed-code') });
  await step(page, 'asked which factor');
  await shoot(page, 'choice', o.shots, seen);
  await press(page, 'button[name=kind][value=passkey]');
  await press(page, '#passkey button[type=submit]');
  const codes = await keptCodes(page);
  await page.waitForURL(page1);
  await step(page, 'signed in', { codes: codes.length, credentials: await keys.credentials() });

  // the next sign-in needs only the passkey
  await context.clearCookies();
  await page.goto(page1);
  await page.waitForURL(page1);
  await step(page, 'signed in by the passkey');

  // in a browser without the passkey, the password is not enough, and a recovery code leads to another factor
  const second = await tab();
  await signIn(second.page, page1, o.user);
  await step(second.page, 'asked for the passkey');
  await press(second.page, 'a[href*=recovery]');
  await send(second.page, { recovery: codes[0] });
  await step(second.page, 'asked for another factor');
  await press(second.page, 'button[name=kind][value=totp]');
  await addCode(second.page);
  await second.page.waitForURL(page1);
  await step(second.page, 'signed in by a recovery code');
});
