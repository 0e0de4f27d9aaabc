// A forgotten password in a real Chromium, for the Go test that starts it:
//   node idp_reset.mjs '{"site": …, "app": …, "user": …, "password": …, "hands": …, "shots": …}'
// site: the identity provider's origin; app: the origin of a site that uses it; user: name, email, password; password:
// the new one; hands: does what operators do, and reads mail. Prints one JSON object with what it saw; the Go test
// checks it.
import { launch, shoot } from './chromium.mjs';
import { addCode, journey, press, send, signIn, until } from './idp.mjs';

const o = JSON.parse(process.argv[2]);
const page1 = `${o.app}/one`;
const browser = await launch();
await journey(o, browser, async ({ step, ask, tab, seen }) => {
  const first = await tab();
  await signIn(first.page, page1, o.user);
  await first.page.waitForURL(page1);
  await first.page.goto(`${o.site}/account`);
  await press(first.page, 'button[name=kind][value=totp]');
  const { phone } = await addCode(first.page);

  // someone requests a link, for a name that does not exist and for one that does
  const { page } = await tab();
  await page.goto(page1);
  await send(page, { username: 'stranger' });
  await press(page, 'a[href*=reset]');
  await send(page, { username: 'stranger' });
  await step(page, 'sent to a stranger');
  await page.goto(`${o.site}/reset`);
  await send(page, { username: o.user.email });
  await step(page, 'sent');
  await shoot(page, 'reset', o.shots, seen);

  // open the link in another tab; the loaded page no longer has the secret in its address
  const link = await ask('reset-link');
  const mail = await page.context().newPage();
  await mail.goto(link);
  await step(mail, 'the link');
  await press(mail);
  await step(mail, 'asked for a new password');
  await send(mail, { newpassword: o.user.password, repeat: o.user.password });
  await step(mail, 'the old password');
  if (await mail.locator('input[name=newpassword]').count()) await send(mail, { newpassword: o.password, repeat: o.password });
  await step(mail, 'changed');
  const ended = await until(first.page, page1, () => first.page.url().startsWith(o.site));
  await step(first.page, 'the session before', { ended });

  // the second factor stays: the mailbox alone is not enough to sign in
  await signIn(mail, page1, o.user, { code: await phone.code() });
  await step(mail, 'with the old password');
  await send(mail, { password: o.password, code: '000000' });
  await step(mail, 'without the code');
  await send(mail, { password: o.password, code: await phone.code() });
  await mail.waitForURL(page1);
  await step(mail, 'signed in');

  await mail.goto('about:blank'); // otherwise only the fragment would change
  await mail.goto(link);
  await press(mail);
  await step(mail, 'the link again');
});
