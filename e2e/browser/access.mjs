// Refusals and stronger sign-ins in a real Chromium, mostly by keyboard, for the Go test that starts it:
//   node access.mjs '{"site": …, "shots": …}'
// site: the relying party's origin, where /admin/ is for admins and /secure/ for users with a second factor; shots: the
// folder for screenshots. Prints one JSON object with what it saw; the Go test checks it.
import { launch, open, password, shoot, signIn, tabTo } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const seen = { steps: [], violations: [], shots: [] };
const browser = await launch();

async function step(page, name, data) {
  await page.waitForLoadState();
  seen.steps.push({ name, url: page.url(), text: await page.locator('body').innerText(), form: await page.locator(password).count(), ...data });
}

try {
  const { context, page } = await open(browser, o.site, seen);

  // bob is refused and uses another account
  await page.goto(`${o.site}/admin/page?x=1`);
  await signIn(page, 'bob');
  await page.waitForURL((u) => u.origin === o.site);
  await step(page, 'refused');
  await shoot(page, 'refused', o.shots, seen);
  await step(page, 'to another account', { stops: await tabTo(page, 'Use another account') });
  await page.keyboard.press('Enter');
  await page.locator(password).waitFor();
  await step(page, 'another account');
  await signIn(page, 'alice');
  await page.waitForURL(`${o.site}/admin/page?x=1`);
  await step(page, 'let in');

  // alice enters a wrong code, tries again, and enters the correct one
  const code = page.locator('input[name=code]');
  await page.goto(`${o.site}/secure/page`);
  await code.fill('000000');
  await code.press('Enter');
  await page.waitForURL((u) => u.origin === o.site);
  await step(page, 'too weak');
  await shoot(page, 'too-weak', o.shots, seen);
  await step(page, 'to another try', { stops: await tabTo(page, 'Try again') });
  await page.keyboard.press('Enter');
  await code.waitFor();
  await step(page, 'another try');
  await code.fill('123456');
  await code.press('Enter');
  await page.waitForURL(`${o.site}/secure/page`);
  await step(page, 'strong enough');
  await page.goto(`${o.site}/secure/other`);
  await step(page, 'and still');

  // bob is refused and signs out
  await context.clearCookies();
  await page.goto(`${o.site}/admin/page`);
  await signIn(page, 'bob');
  await page.waitForURL((u) => u.origin === o.site);
  await step(page, 'to the sign-out', { stops: await tabTo(page, 'Sign out') });
  await page.keyboard.press('Enter');
  await page.locator('button[name=logout]').click();
  await page.waitForURL((u) => u.origin === o.site && !u.pathname.startsWith('/Special:'));
  await step(page, 'signed out');
} catch (e) {
  seen.error = e.message;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
