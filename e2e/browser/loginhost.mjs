// One login for sites of several domains in a real Chromium, for the Go test that starts it:
//   node loginhost.mjs '{"auth": …, "app": …, "wiki": …, "page": …, "blocked": true, "shots": …}'
// auth, app, wiki: the origins of the login host and of two sites on other domains; page: a private path; blocked:
// whether the browser blocks third-party cookies; shots: the folder for screenshots. auth serves /echo to anyone.
// Prints one JSON object with what it saw; the Go test checks it.
import { openProfile, password, shoot, signIn } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const seen = { steps: [], violations: [], shots: [] };
const browsers = [];
const open = async () => { browsers.push(await openProfile(o.auth, seen, o.blocked)); return browsers.at(-1); };

async function step(page, name, data) {
  await page.waitForLoadState();
  seen.steps.push({ name, url: page.url(), text: await page.locator('body').innerText(), form: await page.locator(password).count(), ...data });
}
const goOn = (page) => page.locator('form[method=post] button', { hasText: 'Continue to' });

try {
  const { context, page } = await open();

  // the first site: the provider, the question about the new site, and back
  await page.goto(o.app + o.page);
  await step(page, 'asked for a password');
  await signIn(page, 'alice');
  await goOn(page).waitFor();
  await step(page, 'asked about the site');
  await shoot(page, 'handover', o.shots, seen);
  await goOn(page).focus();
  await page.keyboard.press('Enter');
  await page.waitForURL(o.app + o.page);
  await step(page, 'at the first site', { cookies: (await context.cookies(o.app)).map(({ name, httpOnly, secure, sameSite, path, domain }) => ({ name, httpOnly, secure, sameSite, path, domain })) });

  // the second site needs no password
  await page.goto(`${o.wiki}/start`);
  await goOn(page).click();
  await page.waitForURL(`${o.wiki}/start`);
  await step(page, 'at the second site');

  // what the browser sends from a frame of one site to another site
  await context.addCookies([{ name: 'probe', value: '1', url: o.auth, sameSite: 'None', secure: true }]);
  await page.goto(o.app + o.page);
  await page.evaluate((src) => new Promise((resolve) => { const f = document.createElement('iframe'); f.onload = resolve; f.src = src; document.body.append(f); }), `${o.auth}/echo`);
  const frame = page.frames().find((f) => f.url().startsWith(o.auth));
  seen.steps.push({ name: 'a frame', url: frame.url(), text: await frame.locator('body').innerText() });

  // another user in another browser is not asked about known sites
  const other = await open();
  await other.page.goto(o.wiki + o.page);
  await signIn(other.page, 'bob');
  await other.page.waitForURL(o.wiki + o.page);
  await step(other.page, 'another user');

  // the address with a ticket is useless afterwards
  const used = [];
  page.on('request', (r) => { if (r.url().includes('/handover?ticket=')) used.push(r.url()); });
  await context.clearCookies({ domain: new URL(o.app).hostname });
  await page.goto(o.app + o.page);
  await page.waitForURL(o.app + o.page);
  const again = await page.goto(used[0]);
  await step(page, 'a ticket again', { status: again.status() });
  const stolen = await other.page.goto(used[0]);
  await step(other.page, 'a ticket elsewhere', { status: stolen.status() });

  // sign out at one site, and so everywhere
  await page.goto(`${o.app}/Special:UserLogout`);
  await page.locator('button[name=logout]').click();
  await page.waitForURL((u) => u.origin === o.auth);
  await step(page, 'signed out');
  await shoot(page, 'signedout', o.shots, seen);
  await page.goto(`${o.wiki}/start`);
  await step(page, 'at the second site afterwards');
  await other.page.goto(o.wiki + o.page);
  await step(other.page, 'the other user afterwards');
} catch (e) {
  seen.error = `${e.message}`;
} finally {
  for (const b of browsers) await b.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
