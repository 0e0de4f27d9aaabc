// How sessions end, in a real Chromium, for the Go test that starts it:
//   node idp_end.mjs '{"site": …, "app": …, "wiki": …, "user": …, "hands": …, "shots": …}'
// site: the identity provider's origin; app, wiki: the origins of two sites that use it; user: name, email, password;
// hands: does what operators do. Prints one JSON object with what it saw; the Go test checks it.
import { launch } from './chromium.mjs';
import { journey, press, signIn, until } from './idp.mjs';

const o = JSON.parse(process.argv[2]);
const browser = await launch();
await journey(o, browser, async ({ step, ask, tab, seen }) => {
  const browsers = [await tab(), await tab()];

  // both browsers sign in once and are then signed in at both sites
  async function everywhere() {
    for (const [n, { page }] of browsers.entries()) {
      await signIn(page, `${o.app}/one`, o.user);
      await page.waitForURL(`${o.app}/one`);
      await page.goto(`${o.wiki}/two`);
      await step(page, `browser ${n + 1} at the second site`);
    }
  }
  const isOut = (page) => () => page.url().startsWith(o.site);
  async function gone(why) {
    for (const [n, { page }] of browsers.entries()) {
      for (const [name, address] of [['first', `${o.app}/one`], ['second', `${o.wiki}/two`]]) {
        const after = await until(page, address, isOut(page));
        await step(page, `${why}: browser ${n + 1} at the ${name} site`, { after });
      }
    }
  }

  // sign out everywhere, on the account page in one browser
  await everywhere();
  await browsers[0].page.goto(`${o.site}/account`);
  await step(browsers[0].page, 'the account');
  await press(browsers[0].page, 'form[action$=end-sessions] button');
  await step(browsers[0].page, 'signed out everywhere');
  await gone('signed out');

  // sign out at one site: this ends the sessions of this browser at both sites
  await everywhere();
  await browsers[0].page.goto(`${o.app}/Special:UserLogout`);
  await browsers[0].page.waitForURL((u) => u.origin === o.app && u.pathname !== '/Special:UserLogout');
  await step(browsers[0].page, 'signed out at a site');
  for (const [name, address] of [['first', `${o.app}/one`], ['second', `${o.wiki}/two`]]) {
    const after = await until(browsers[0].page, address, isOut(browsers[0].page));
    await step(browsers[0].page, `signed out at a site: the ${name} site`, { after });
  }
  await browsers[1].page.goto(`${o.app}/one`);
  await step(browsers[1].page, 'the other browser stays');

  // an operator removes the account
  await signIn(browsers[0].page, `${o.app}/one`, o.user);
  await browsers[0].page.waitForURL(`${o.app}/one`);
  await ask('remove');
  await gone('removed');
  await signIn(browsers[0].page, `${o.app}/one`, o.user);
  await step(browsers[0].page, 'the removed user');
});
