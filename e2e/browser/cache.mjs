// Checks whether a real Chromium shows a private page from its cache after a logout, for the Go test that starts it:
//   node cache.mjs '{"site": …, "page": …, "logout": …, "password": …}'
// site: the relying party's origin; page: a private path; logout: the path that signs out; password: alice's. Prints
// one JSON object with what it saw; the Go test checks it.
import { launch } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const seen = { steps: [] };
const browser = await launch();
const page = await (await browser.newContext()).newPage();
page.setDefaultTimeout(90000);
const step = async (name) => seen.steps.push({ name, url: page.url(), text: await page.locator('body').innerText(), form: await page.locator('input[name=password]').count() });

try {
  await page.goto(o.site + o.page);
  await page.locator('input[name=login], input[name=username]').first().fill('alice');
  await page.locator('input[name=password]').fill(o.password);
  await page.locator('button[type=submit], form button').first().click();
  await page.waitForURL(o.site + o.page);
  await step('signed in');
  await page.goto(o.site + o.page);
  await step('again');
  await page.goto(o.site + o.logout);
  await page.waitForLoadState();
  await step('signed out');
  await page.goto(o.site + o.page);
  await page.waitForLoadState();
  await step('after the logout');
} catch (e) {
  seen.error = `${page.url()}: ${e.message}`;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
