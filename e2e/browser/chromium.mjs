// What the journeys in Chromium share: the browser, a tab that reports violations of policies, the provider's form, and
// screenshots with measurements.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const options = {
  executablePath: '/usr/bin/chromium', headless: true, timeout: 180000,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run', '--no-default-browser-check', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-extensions', '--disable-features=OptimizationHints,MediaRouter,AutofillServerCommunication,Translate',
    // connect only to this machine
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost'],
};

export const launch = () => chromium.launch(options);

// openProfile opens a tab in a separate browser, whose user has set whether to block third-party cookies.
export async function openProfile(site, seen, blocked) {
  const folder = mkdtempSync(join(tmpdir(), 'chromium'));
  mkdirSync(join(folder, 'Default'));
  writeFileSync(join(folder, 'Default', 'Preferences'), JSON.stringify({ profile: { cookie_controls_mode: blocked ? 1 : 0, block_third_party_cookies: blocked } }));
  const context = await chromium.launchPersistentContext(folder, { ...options, ignoreHTTPSErrors: true });
  const close = async () => { await context.close(); rmSync(folder, { recursive: true, force: true }); };
  return { ...await prepare(context, site, seen), close };
}

// open opens a tab in a new browser context. Violations of the site's own policy are added to seen.violations.
export async function open(browser, site, seen) {
  return prepare(await browser.newContext({ ignoreHTTPSErrors: true }), site, seen); // the site's authority is Caddy's own
}

async function prepare(context, site, seen) {
  const page = await context.newPage();
  page.setDefaultTimeout(90000);
  const ours = (url) => (url || page.url()).startsWith(site);
  await context.exposeBinding('e2eViolation', ({ frame }, v) => { if (ours(frame.url())) seen.violations.push(v); });
  await context.addInitScript(() => document.addEventListener('securitypolicyviolation', (e) => window.e2eViolation(`${e.violatedDirective} ${e.blockedURI}`)));
  page.on('console', (m) => { if (/content security policy|refused to/i.test(m.text()) && ours(m.location().url)) seen.violations.push(m.text()); });
  page.on('pageerror', (e) => { if (ours()) seen.violations.push(`script error: ${e.message}`); });
  return { context, page };
}

export const password = 'input[name=password]';

export async function signIn(page, user) {
  await page.locator('input[name=login], input[name=username]').fill(user);
  await page.locator(password).fill(`${user}-pw`);
  await page.locator('button[type=submit]').click();
}

// tabTo presses Tab until an element with this text or id has the focus. It returns the focused elements, and whether
// each shows that it has the focus.
export async function tabTo(page, text) {
  const stops = [];
  for (let n = 0; n < 12; n++) {
    await page.keyboard.press('Tab');
    stops.push(await page.evaluate(() => {
      const e = document.activeElement, style = getComputedStyle(e);
      return { text: e.innerText || e.id || e.tagName, visible: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 };
    }));
    if (stops.at(-1).text === text) break;
  }
  return stops;
}

// shoot takes screenshots of the page in light and dark, wide and narrow, in the folder, and measures the page.
export async function shoot(page, name, folder, seen) {
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const [width, size] of [['desktop', { width: 1280, height: 800 }], ['phone', { width: 360, height: 740 }]]) {
      await page.setViewportSize(size);
      const file = `${folder}/${name}-${scheme}-${width}.png`;
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
