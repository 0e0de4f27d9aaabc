// One journey in a real Chromium, for the Go test that starts it:
//   node journey.mjs '{"site": …, "elsewhere": …, "page": …, "question": true, "shots": …}'
// site: the relying party's origin; elsewhere: another site with a link to the logout; page: a private path; question:
// whether the provider asks before it signs the user out; shots: the folder for screenshots. Prints one JSON object
// with what it saw; the Go test checks it.
import { launch, open, password, shoot, signIn } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const seen = { steps: [], violations: [], shots: [] };
const browser = await launch();
const step = (name, data) => seen.steps.push({ name, ...data });

try {
  const { context, page } = await open(browser, o.site, seen);

  // a private page → the provider's form → the same page
  await page.goto(o.site + o.page);
  step('asked', { url: page.url(), form: await page.locator(password).count() });
  await signIn(page, 'alice');
  await page.waitForURL(o.site + o.page);
  step('back', { url: page.url(), text: await page.locator('body').innerText(), cookies: (await context.cookies(o.site)).map(({ name, httpOnly, secure, sameSite, path }) => ({ name, httpOnly, secure, sameSite, path })) });

  // another browser's callback, in a browser that did not begin the login
  const other = await open(browser, o.site, seen);
  const refused = await other.page.goto(`${o.site}/@app/auth/default/code?code=somebody&state=elses`);
  step('refused', { status: refused.status(), text: await other.page.locator('body').innerText() });
  await shoot(other.page, 'error', o.shots, seen);
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
  await shoot(page, 'confirm', o.shots, seen);
  await question.click();
  if (o.question) await page.locator('button[name=logout]').click();
  await page.waitForURL((u) => u.origin === o.site && !u.pathname.startsWith('/Special:'));
  await page.waitForLoadState();
  step('signed out', { url: page.url(), text: await page.locator('body').innerText(), cookies: (await context.cookies(o.site)).map((c) => c.name) });
  await shoot(page, 'signedout', o.shots, seen);

  await page.goto(o.site + o.page);
  step('asked again', { url: page.url(), form: await page.locator(password).count() });
} catch (e) {
  seen.error = e.message;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
