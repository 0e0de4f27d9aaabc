// Authenticator and recovery codes in a real Chromium, for the Go test that starts it:
//   node idp_factors.mjs '{"site": …, "app": …, "user": …, "shots": …}'
// site: the identity provider's origin; app: the origin of a site that uses it; user: name, email, password. Prints one
// JSON object with what it saw; the Go test checks it.
import { launch, shoot } from './chromium.mjs';
import { addCode, journey, press, send, signIn } from './idp.mjs';

const o = JSON.parse(process.argv[2]);
const page1 = `${o.app}/one`;
const browser = await launch();
await journey(o, browser, async ({ step, tab, seen }) => {
  const { page } = await tab();
  await signIn(page, page1, o.user);
  await page.waitForURL(page1);

  // add the app on the phone on the account page
  await page.goto(`${o.site}/account`);
  await press(page, 'button[name=kind][value=totp]');
  await step(page, 'the seed', { seed: await page.locator('code.secret').innerText() });
  await shoot(page, 'totp', o.shots, seen);
  const seed = await page.locator('code.secret').innerText();
  await send(page, { code: '000000' });
  await step(page, 'a wrong code');
  if (await page.locator('code.secret').innerText() !== seed) throw new Error('another seed after a wrong code');
  const { phone, codes } = await addCode(page);
  await step(page, 'added', { codes: codes.length });

  // another browser is asked for the password and the code together
  const second = await tab();
  await second.page.goto(page1);
  await send(second.page, { username: o.user.name });
  await step(second.page, 'asked for both');
  await shoot(second.page, 'password-and-code', o.shots, seen);
  await send(second.page, { password: o.user.password, code: '000000' });
  await step(second.page, 'the code is wrong');
  const code = await phone.code();
  await send(second.page, { password: 'wrong-password-0123', code });
  await step(second.page, 'the password is wrong');
  await send(second.page, { password: o.user.password, code });
  await second.page.waitForURL(page1);
  await step(second.page, 'both are right');

  // the same code again, in a third browser
  const third = await tab();
  await signIn(third.page, page1, o.user, { code });
  await step(third.page, 'the code again');

  // the phone is lost: a recovery code signs in once, and then a new factor is required
  await press(third.page, 'a[href*=recovery]');
  await step(third.page, 'asked for a recovery code');
  await send(third.page, { password: o.user.password, recovery: codes[3].toUpperCase().replaceAll('-', ' ') });
  await step(third.page, 'a factor is due');
  await press(third.page, 'button[name=kind][value=totp]');
  const added = await addCode(third.page);
  await third.page.waitForURL(page1);
  await step(third.page, 'signed in by a recovery code', { codes: added.codes.length });

  // the used recovery code and the replaced ones are invalid
  const fourth = await tab();
  await fourth.page.goto(page1);
  await send(fourth.page, { username: o.user.name });
  await press(fourth.page, 'a[href*=recovery]');
  for (const [name, recovery] of [['a used recovery code', codes[3]], ['an old recovery code', codes[4]]]) {
    await send(fourth.page, { password: o.user.password, recovery });
    await step(fourth.page, name);
  }
});
