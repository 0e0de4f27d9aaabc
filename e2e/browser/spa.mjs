// A single-page application in a real Chromium, for the Go test that starts it:
//   node spa.mjs '{"site": …, "issuer": …, "friend": …, "evil": …}'
// site: the relying party's origin, where /api/ and /private/ are private; issuer: the provider's; friend: another
// origin that may read the session and a 401; evil: one that may not. Prints one JSON object with what it saw; the Go
// test checks it.
import { launch, open, password, signIn } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const seen = { steps: [], violations: [], shots: [] };
const browser = await launch();
const step = (name, url, data) => seen.steps.push({ name, url, text: JSON.stringify(data) });

// call sends a request from a script in the page and returns the response.
const call = (page, url, options) => page.evaluate(async ([url, options]) => {
  try {
    const response = await fetch(url, options);
    const text = await response.text();
    let body = text;
    try { body = JSON.parse(text); } catch { /* a page */ }
    return { status: response.status, body };
  } catch (e) {
    return { error: e.name };
  }
}, [url, options]);

// popup opens a login in a new window and returns the message that the opener receives.
async function popup(page, features, channel, then) {
  const opened = page.context().waitForEvent('page');
  const heard = page.evaluate(([features, channel]) => new Promise((resolve) => {
    const ended = (e) => resolve({ origin: e.origin, data: e.data });
    if (channel) new BroadcastChannel('oidc_rp').onmessage = ended;
    else addEventListener('message', ended);
    window.open('/@app/auth/default/login?display=popup', 'sign-in', features);
  }), [features, channel]);
  const other = await opened;
  if (then) await then(other); // otherwise it may already be closed
  const message = await heard;
  for (let n = 0; n < 40 && !other.isClosed(); n++) await page.waitForTimeout(50);
  return { ...message, closed: other.isClosed() };
}

const user = async (page) => { try { return JSON.parse(await page.locator('body').innerText()).headers['X-User']?.[0] ?? ''; } catch { return null; } };
const forgetSite = async (context) => { await context.clearCookies({ domain: 'rp.localhost' }); };

try {
  // an anonymous user: the silent sign-in shows nothing; then a 401, a login in a popup, and the call again
  const { context, page } = await open(browser, o.site, seen);
  await page.goto(`${o.site}/public/page?x=1#/public/route`);
  await page.waitForURL((u) => u.origin === o.site && u.pathname === '/public/page');
  await page.waitForLoadState();
  step('anonymous', page.url(), { user: await user(page), tried: (await context.cookies(o.site)).some((c) => c.name.endsWith('_tried')) });
  step('session of an anonymous user', page.url(), await call(page, '/@app/auth/session'));
  step('call of an anonymous user', page.url(), await call(page, '/api/orders'));
  step('popup', page.url(), await popup(page, 'popup,width=480,height=640', false, (other) => signIn(other, 'alice')));
  step('call of alice', page.url(), await call(page, '/api/orders'));
  step('session of alice', page.url(), await call(page, '/@app/auth/session'));
  step('prolonged', page.url(), await call(page, '/@app/auth/session', { method: 'POST' }));
  await page.waitForTimeout(200);
  step('still there', page.url(), {});

  // now the provider has a session: a popup without an opener, and one whose opener the provider cuts off
  step('popup without an opener', page.url(), await popup(page, 'popup,noopener', true));
  const third = await open(browser, o.site, seen);
  await third.context.route((u) => u.origin === o.issuer && !u.pathname.includes('.'), async (route) => {
    const response = await route.fetch({ maxRedirects: 0 });
    await route.fulfill({ response, headers: { ...response.headers(), 'cross-origin-opener-policy': 'same-origin' } });
  });
  await third.page.goto(`${o.site}/public/page?auth_error=login_expired`);
  step('popup that the provider cuts off', third.page.url(), await popup(third.page, 'popup', true, (other) => signIn(other, 'alice')));
  await third.context.close();

  // a user with a session at the provider is signed in without a prompt
  await forgetSite(context);
  await page.goto('about:blank');
  await page.goto(`${o.site}/public/page?x=2#/silent`);
  await page.waitForURL((u) => u.origin === o.site && u.hash === '#/silent' && u.pathname === '/public/page');
  await page.waitForLoadState();
  step('silent', page.url(), { user: await user(page) });

  // other origins
  for (const [name, origin] of [['friend', o.friend], ['evil', o.evil]]) {
    const other = await context.newPage();
    await other.goto(`${origin}/`);
    step(`session read by ${name}`, origin, await call(other, `${o.site}/@app/auth/session`, { credentials: 'include' }));
    step(`session changed by ${name}`, origin, await call(other, `${o.site}/@app/auth/session`, { credentials: 'include', method: 'POST' }));
    step(`call by ${name}`, origin, await call(other, `${o.site}/api/orders`, { credentials: 'omit' }));
    step(`page of the application read by ${name}`, origin, await call(other, `${o.site}/public/page`, { credentials: 'include' }));
    await other.close();
  }

  // fragments: with a prompt first, and then with the provider's session
  const fragments = await open(browser, o.site, seen);
  await fragments.page.goto(`${o.site}/private/page?y=1#/route?x=1`);
  await fragments.page.locator(password).waitFor();
  step('fragment at the provider', fragments.page.url(), { hash: await fragments.page.evaluate(() => location.hash) });
  await signIn(fragments.page, 'alice');
  await fragments.page.waitForURL((u) => u.origin === o.site && u.pathname === '/private/page');
  await fragments.page.waitForLoadState();
  step('fragment restored', fragments.page.url(), { user: await user(fragments.page), left: await fragments.page.evaluate(() => sessionStorage.length) });
  for (const [name, hash] of [['hostile', '#javascript:alert(document.domain)'], ['an address', '#//evil.example/'], ['markup', '#"><img src=x onerror=alert(1)>'],
    ['long', `#${'a'.repeat(2047)}`], ['too long', `#${'a'.repeat(2048)}`], ['none', '']]) {
    await forgetSite(fragments.context);
    await fragments.page.goto('about:blank');
    await fragments.page.goto(`${o.site}/private/page?y=2${hash}`);
    await fragments.page.waitForURL((u) => u.origin === o.site && u.pathname === '/private/page' && u.search === '?y=2');
    await fragments.page.waitForFunction(() => document.body.innerText.startsWith('{'));
    const at = await fragments.page.evaluate(() => ({ origin: location.origin, path: location.pathname, hash: location.hash, left: sessionStorage.length }));
    step(`fragment: ${name}`, at.origin + at.path, { user: await user(fragments.page), hash: at.hash, left: at.left });
  }
  await forgetSite(fragments.context);
  await fragments.page.goto('about:blank');
  await fragments.page.goto(`${o.site}/@app/auth/default/login?returnto=/private/page%3Fy=3#/link`);
  await fragments.page.waitForURL((u) => u.origin === o.site && u.pathname === '/private/page');
  step('fragment of a login link', fragments.page.url(), { user: await user(fragments.page) });
  await fragments.context.close();

  // HTMX, which follows the plugin's header on a 401
  const htmx = await open(browser, o.site, seen);
  await htmx.page.goto(`${o.site}/public/list?auth_error=login_expired`);
  await htmx.page.addScriptTag({ path: 'browser/node_modules/htmx.org/dist/htmx.min.js' });
  await htmx.page.evaluate(() => {
    document.body.innerHTML = '<button hx-post="/api/rows">more</button>';
    window.htmx.process(document.body);
  });
  await htmx.page.locator('button').click();
  await htmx.page.locator(password).waitFor();
  step('HTMX at the provider', htmx.page.url(), {});
  await signIn(htmx.page, 'alice');
  await htmx.page.waitForURL((u) => u.origin === o.site && u.pathname === '/public/list');
  step('HTMX', htmx.page.url(), { user: await user(htmx.page) });
  await htmx.context.close();

  // without scripts
  const plain = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto(`${o.site}/private/page?y=4`);
  await still.locator(password).waitFor();
  step('without scripts, at the provider', still.url(), {});
  await signIn(still, 'alice');
  await still.waitForURL((u) => u.origin === o.site && u.pathname === '/private/page');
  step('without scripts', still.url(), { user: await user(still) });
  await plain.close();

  // after a logout there is no silent sign-in, although the provider may still have a session
  await page.goto(`${o.site}/Special:UserLogout`);
  await page.goto('about:blank');
  await page.goto(`${o.site}/public/page?x=3`);
  step('after a logout', page.url(), { user: await user(page) });
} catch (e) {
  seen.error = e.message;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
