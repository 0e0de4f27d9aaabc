// A logout in a frame of another page, in a real Chromium, for the Go test that starts it:
//   node frontchannel.mjs '{"site": …, "page": …, "leave": …, "frame": …, "session": …, "password": …}'
// site: the relying party's origin; page: a private path; leave: the page that loads the frame, or leads to it; frame:
// the path in the frame; session: the name of the session cookie; password: alice's. Prints one JSON object with what
// it saw; the Go test checks it.
import http from 'node:http';
import https from 'node:https';
import { launch } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const seen = { steps: [], frames: [], refusals: [] };
const browser = await launch();
const context = await browser.newContext({ ignoreHTTPSErrors: true }); // the site's authority is Caddy's own
const page = await context.newPage();
page.setDefaultTimeout(90000);

const isFrame = (url) => url.startsWith(o.site + o.frame);
page.on('console', (m) => { if (/x-frame-options|frame-ancestors|frame-src|content security policy|refused to (display|frame|load|connect)/i.test(m.text())) seen.refusals.push(m.text()); });
page.on('requestfailed', (r) => { if (isFrame(r.url())) seen.refusals.push(`${r.url()}: ${r.failure()?.errorText}`); });
let loaded = () => {};
const frameLoaded = new Promise((resolve) => { loaded = resolve; });
page.on('response', async (response) => {
  if (!isFrame(response.url())) return;
  const h = await response.request().allHeaders();
  const frame = { url: response.url(), status: response.status(), dest: h['sec-fetch-dest'], from: h['sec-fetch-site'], cookies: (h.cookie || '').split('; ').map((c) => c.split('=')[0]).filter(Boolean) };
  seen.frames.push(frame);
  await response.finished().catch(() => {});
  loaded();
});

// ask sends a program's request with these cookies and returns the status.
function ask(cookies) {
  const { protocol, hostname, host, port } = new URL(o.site);
  const headers = { host, accept: 'application/json', cookie: cookies.map((c) => `${c.name}=${c.value}`).join('; ') };
  return new Promise((resolve, reject) => {
    (protocol === 'https:' ? https : http)
      .get({ host: '127.0.0.1', port, path: '/x', headers, agent: false, ...(protocol === 'https:' && { servername: hostname, rejectUnauthorized: false }) },
        (answer) => { answer.resume(); resolve(answer.statusCode); })
      .on('error', reject);
  });
}
let stolen;
// step records which statuses the browser and a thief of its cookie get.
async function step(name) {
  const cookies = await context.cookies(o.site);
  seen.steps.push({ name, url: page.url(), text: await page.locator('body').innerText().catch(() => ''), form: await page.locator('input[name=password]').count(),
    cookies: cookies.map((c) => c.name), user: await ask(cookies), thief: await ask([stolen]) });
}

try {
  await page.goto(o.site + o.page);
  await page.locator('input[name=login], input[name=username], input[name=user]').first().fill('alice');
  await page.locator('input[name=password]').fill(o.password);
  await page.locator('button[type=submit], form button').first().click();
  await page.waitForURL(o.site + o.page);
  stolen = (await context.cookies(o.site)).find((c) => c.name === o.session);
  await step('back');

  await page.goto(o.leave);
  await Promise.race([frameLoaded, new Promise((_, reject) => setTimeout(() => reject(new Error(`no frame was loaded by ${page.url()}`)), 90000))]);
  await page.waitForLoadState();
  await new Promise((resolve) => setTimeout(resolve, 300)); // a refusal is reported after the response
  for (const f of page.frames()) if (f.url().startsWith('chrome-error:')) seen.refusals.push(`a frame shows ${f.url()}`);
  await step('left');

  await page.goto(o.site + o.page);
  await page.waitForLoadState();
  await step('again');
} catch (e) {
  seen.error = `${page.url()}: ${e.message}`;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
