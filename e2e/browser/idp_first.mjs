// From an empty database to a protected site in a real Chromium, for the Go test that starts it:
//   node idp_first.mjs '{"site": …, "app": …, "hands": …, "shots": …}'
// site: the identity provider's origin; app: the origin of a site that uses it; hands: does what operators do. Prints
// one JSON object with what it saw; the Go test checks it.
import { launch, shoot } from './chromium.mjs';
import { journey, press, send } from './idp.mjs';

const o = JSON.parse(process.argv[2]);
const browser = await launch();
await journey(o, browser, async ({ step, ask, tab, seen }) => {
  const { context, page } = await tab();
  await page.goto(`${o.app}/docs/page?x=1&y=%20z`);
  await step(page, 'no accounts');
  await shoot(page, 'no-accounts', o.shots, seen);

  // open the command's link in another tab
  const link = await ask('first-user');
  const other = await context.newPage();
  await other.goto(link);
  await step(other, 'the link');
  await press(other);
  await step(other, 'asked for a name');
  await shoot(other, 'register', o.shots, seen);
  await send(other, { username: 'ada', email: 'ada@example.com', newpassword: 'short-pw', repeat: 'short-pw' });
  await step(other, 'a weak password');
  await send(other, { newpassword: o.password, repeat: o.password });
  await step(other, 'registered');

  // the first tab continues where it was
  await send(page, { username: 'Ada@Example.com' });
  await step(page, 'asked for the password');
  await shoot(page, 'password', o.shots, seen);
  await send(page, { password: 'wrong-password-0123' });
  await step(page, 'a wrong password');
  await send(page, { password: o.password });
  await page.waitForURL(`${o.app}/docs/page?x=1&y=%20z`);
  await step(page, 'at the site', { cookies: (await context.cookies([o.app, o.site])).map(({ name, httpOnly, secure, sameSite, path, domain }) => ({ name, httpOnly, secure, sameSite, path, domain })) });

  // the account page needs no further sign-in
  await page.goto(`${o.site}/account`);
  await step(page, 'the account');
  await shoot(page, 'account', o.shots, seen);

  // neither the link nor the command creates another first account
  await other.goto('about:blank'); // otherwise only the fragment would change
  await other.goto(link);
  await press(other);
  await step(other, 'the link again');
  seen.steps.push({ name: 'the command again', url: o.site, text: await ask('first-user').catch((e) => e.message) });
  const stranger = await tab();
  await stranger.page.goto(`${o.app}/`);
  await step(stranger.page, 'another browser');
});
