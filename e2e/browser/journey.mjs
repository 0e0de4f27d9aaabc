// One journey in a real Chromium, for the Go test that starts it:
//   node journey.mjs '{"site": …, "elsewhere": …, "page": …, "question": true, "shots": …}'
// site: the relying party's origin; elsewhere: another site with a link to the logout; page: a private path;
// question: whether the provider asks before it signs out; shots: the folder for screenshots.
// Prints one JSON object of what was seen; the Go test judges it.
import { chromium } from 'playwright-core';

const o = JSON.parse(process.argv[2]);
const seen = { steps: [], violations: [], shots: [] };

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium', headless: true, timeout: 60000,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run', '--no-default-browser-check', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-extensions', '--disable-features=OptimizationHints,MediaRouter,AutofillServerCommunication,Translate',
    // nothing but this machine is ever asked for
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost'],
});

async function open() {
  const context = await browser.newContext({ ignoreHTTPSErrors: true }); // the site's authority is Caddy's own
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  const ours = (url) => (url || page.url()).startsWith(o.site);
  await context.exposeBinding('e2eViolation', ({ frame }, v) => { if (ours(frame.url())) seen.violations.push(v); });
  await context.addInitScript(() => document.addEventListener('securitypolicyviolation', (e) => window.e2eViolation(`${e.violatedDirective} ${e.blockedURI}`)));
  page.on('console', (m) => { if (/content security policy|refused to/i.test(m.text()) && ours(m.location().url)) seen.violations.push(m.text()); });
  page.on('pageerror', (e) => { if (ours()) seen.violations.push(`script error: ${e.message}`); });
  return { context, page };
}

const step = (name, data) => seen.steps.push({ name, ...data });
const password = 'input[name=password]';

async function signIn(page, user) {
  await page.locator('input[name=login], input[name=username]').fill(user);
  await page.locator(password).fill(`${user}-pw`);
  await page.locator('button[type=submit]').click();
}

// shoot takes the page in light and dark, wide and narrow, and measures it.
async function shoot(page, name) {
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const [width, size] of [['desktop', { width: 1280, height: 800 }], ['phone', { width: 360, height: 740 }]]) {
      await page.setViewportSize(size);
      const file = `${o.shots}/${name}-${scheme}-${width}.png`;
      await page.screenshot({ path: file, fullPage: true });
      seen.shots.push({ file, name, scheme, width, ...await page.evaluate(() => {
        const light = (c) => { const [r, g, b, a = 1] = c.match(/[\d.]+/g).map(Number); return a === 0 ? null : (0.299 * r + 0.587 * g + 0.114 * b) / 255; };
        const background = (e) => { for (; e; e = e.parentElement) { const l = light(getComputedStyle(e).backgroundColor); if (l !== null) return l; } return matchMedia('(prefers-color-scheme: dark)').matches && getComputedStyle(document.documentElement).colorScheme.includes('dark') ? 0.07 : 1; };
        const text = document.querySelector('main p, p, h1');
        return {
          overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          background: background(text), text: light(getComputedStyle(text).color),
          smallest: Math.min(...[...document.querySelectorAll('p, a, button, h1')].filter((e) => e.textContent.trim()).map((e) => parseFloat(getComputedStyle(e).fontSize))),
          lang: document.documentElement.lang, title: document.title, headings: document.querySelectorAll('h1').length,
        };
      }) });
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1280, height: 800 });
}

try {
  const { context, page } = await open();

  // a private page → the provider's form → the same page
  await page.goto(o.site + o.page);
  step('asked', { url: page.url(), form: await page.locator(password).count() });
  await signIn(page, 'alice');
  await page.waitForURL(o.site + o.page);
  step('back', { url: page.url(), text: await page.locator('body').innerText(), cookies: (await context.cookies(o.site)).map(({ name, httpOnly, secure, sameSite, path }) => ({ name, httpOnly, secure, sameSite, path })) });

  // somebody else's callback, in a browser that knows nothing of it
  const other = await open();
  const refused = await other.page.goto(`${o.site}/@app/auth/default/code?code=somebody&state=elses`);
  step('refused', { status: refused.status(), text: await other.page.locator('body').innerText() });
  await shoot(other.page, 'error');
  await other.page.locator('a[href*="/login"]').first().click();
  await other.page.locator(password).waitFor();
  step('fresh start', { url: other.page.url() });
  await other.context.close();

  // a link on another site → the question → the provider → signed out
  await page.goto(o.elsewhere);
  await page.locator('a').click();
  const question = page.locator('form[method=post] button, form[method=POST] button').first();
  await question.waitFor();
  step('question', { url: page.url(), text: await page.locator('body').innerText() });
  await shoot(page, 'confirm');
  await question.click();
  if (o.question) await page.locator('button[name=logout]').click();
  await page.waitForURL((u) => u.origin === o.site && !u.pathname.startsWith('/Special:'));
  await page.waitForLoadState();
  step('signed out', { url: page.url(), text: await page.locator('body').innerText(), cookies: (await context.cookies(o.site)).map((c) => c.name) });
  await shoot(page, 'signedout');

  await page.goto(o.site + o.page);
  step('asked again', { url: page.url(), form: await page.locator(password).count() });
} catch (e) {
  seen.error = e.message;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
