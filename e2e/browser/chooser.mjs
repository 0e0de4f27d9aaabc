// The choice between two providers in a real Chromium, mostly by keyboard, for the Go test that starts it:
//   node chooser.mjs '{"site": …, "domain": …, "shots": …}'
// site: the relying party's origin, all of it private; domain: the email domain of the first provider; shots: the
// folder for screenshots. Prints one JSON object with what it saw; the Go test checks it.
import { launch, open, password, shoot, signIn, tabTo } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const seen = { steps: [], violations: [], shots: [] };
const browser = await launch();
const chooser = (u) => u.origin === o.site && u.pathname === '/@app/auth/';

// step records a page: its accessibility tree, and the focused element.
async function step(page, name, data) {
  await page.waitForLoadState();
  seen.steps.push({
    name, url: page.url(), text: await page.locator('body').innerText(), tree: await page.locator('main, body').first().ariaSnapshot(),
    focus: await page.evaluate(() => document.activeElement.innerText?.trim().split('\n')[0] || document.activeElement.id), ...data,
  });
}

const hint = (page) => page.locator('input[name=login]').inputValue();

try {
  const { page } = await open(browser, o.site, seen);

  // the second provider, by keyboard
  await page.goto(`${o.site}/page?x=1`);
  await step(page, 'chooser');
  await shoot(page, 'chooser', o.shots, seen);
  await step(page, 'to partners', { stops: await tabTo(page, 'Partners') });
  await page.keyboard.press('Enter');
  await page.locator(password).waitFor();
  await step(page, 'at partners');
  await signIn(page, 'alice');
  await page.waitForURL(`${o.site}/page?x=1`);
  await step(page, 'signed in at partners');

  // a signed-in user is offered another account
  await page.goto(`${o.site}/@app/auth/?returnto=/page`);
  await step(page, 'another account');
  await shoot(page, 'another-account', o.shots, seen);

  // after a logout, the chooser shows the last choice and focuses it
  await page.goto(`${o.site}/Special:UserLogout`);
  await page.locator('button[name=logout]').click();
  await page.waitForURL((u) => u.origin === o.site && !u.pathname.startsWith('/Special:'));
  await page.goto(`${o.site}/page?x=2`);
  await step(page, 'remembered');
  await shoot(page, 'remembered', o.shots, seen);
  await page.keyboard.press('Enter');
  await page.locator(password).waitFor();
  await step(page, 'at partners again', { hint: await hint(page) });

  // an address of no provider, and then one of the first provider, by keyboard
  await page.goto(`${o.site}/page?x=3`);
  await step(page, 'to the field', { stops: await tabTo(page, 'identifier') });
  await page.keyboard.type('alice@unknown.example');
  await page.keyboard.press('Enter');
  await page.locator('[role=status]').waitFor();
  await step(page, 'unknown');
  await shoot(page, 'unknown', o.shots, seen);
  await tabTo(page, 'identifier');
  await page.keyboard.type(`alice@${o.domain}`);
  await page.keyboard.press('Enter');
  await page.locator(password).waitFor();
  await step(page, 'at corp', { hint: await hint(page) });
  await signIn(page, 'alice');
  await page.waitForURL(`${o.site}/page?x=3`);
  await step(page, 'signed in at corp');

  // without JavaScript
  const plain = await (await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false })).newPage();
  await plain.goto(`${o.site}/page?x=4`);
  await plain.getByLabel('User name or e-mail').fill(`bob@${o.domain}`);
  await plain.getByRole('button', { name: 'Continue' }).click();
  await plain.waitForURL((u) => !chooser(u));
  await signIn(plain, 'bob');
  await plain.waitForURL(`${o.site}/page?x=4`);
  seen.steps.push({ name: 'without scripts', url: plain.url(), text: await plain.locator('body').innerText() });
} catch (e) {
  seen.error = e.message;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
