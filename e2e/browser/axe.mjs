// Searches the identity provider's built-in pages for barriers, with axe-core in a real Chromium, for the Go test that
// starts it:
//   node axe.mjs '{"site": …}'
// site: the origin of idp/internal/pages/preview, which lists the pages. Each page is checked on a phone and on a
// desktop, in light and in dark. Prints one JSON object: how many pages were checked, and what axe-core has found.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { launch } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const everything = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
// Rules whose result depends on width or color scheme; the others need only one check of each page.
const looks = ['color-contrast', 'target-size', 'meta-viewport', 'scrollable-region-focusable', 'link-in-text-block'];
const views = [];
for (const width of [360, 1280]) for (const scheme of ['light', 'dark']) views.push({ width, scheme });

const seen = { steps: [], looked: 0, wide: [], found: [] };
const browser = await launch();
try {
  const pages = await (await fetch(`${o.site}/`)).json();
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  let here = '';
  // Keep pages that lead on at once from doing so.
  await page.route('**/*', (route) => {
    const request = route.request();
    const leaves = request.isNavigationRequest() && (request.url() !== here || request.method() !== 'GET') || request.url().includes('/assets/submit.');
    return leaves || !request.url().startsWith(o.site) ? route.abort('aborted') : route.continue();
  });
  // Open a page with its styles. A request for them can fail on a busy machine.
  const lost = [];
  page.on('requestfailed', (request) => {
    if (request.resourceType() === 'stylesheet') lost.push(`${request.url()}: ${request.failure().errorText}`);
  });
  const open = async (url) => {
    here = url;
    for (let attempt = 1; attempt <= 3; attempt++) {
      const before = lost.length;
      await page.goto(url, { waitUntil: 'load' });
      if (lost.length === before) return;
    }
    throw new Error(`the styles of ${url} were not loaded: ${lost.join(', ')}`);
  };
  for (const { name, path } of pages) {
    await open(o.site + path);
    await page.evaluate(source);
    for (const [n, { width, scheme }] of views.entries()) {
      await page.setViewportSize({ width, height: 740 });
      await page.emulateMedia({ colorScheme: scheme });
      const order = n === 0 ? { runOnly: { type: 'tag', values: everything } } : { runOnly: { type: 'rule', values: looks } };
      const result = await page.evaluate((order) => globalThis.axe.run(document, { ...order, resultTypes: ['violations', 'incomplete'] }), order);
      seen.looked++;
      const where = `${name} (${path}) at ${width} px, ${scheme}`;
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wider > 0) seen.wide.push(`${where}: ${wider} px`);
      for (const rule of [...result.violations, ...result.incomplete]) {
        for (const node of rule.nodes) seen.found.push(`${where}: ${rule.id}: ${rule.help}: ${node.html} ${[...node.any, ...node.all, ...node.none].map((c) => c.message).join('; ')}`);
      }
    }
  }
} catch (e) {
  seen.error = e.stack;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
