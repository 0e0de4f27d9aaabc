// A login whose response is posted from another site, in a real Chromium, for the Go test that starts it:
//   node form_post.mjs '{"site": …, "elsewhere": …, "page": …, "code": …}'
// site: the relying party's origin; elsewhere: an empty page of another site; page: a private path; code: the path of
// the redirect URI. Prints one JSON object with what it saw; the Go test checks it.
import { launch } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const seen = { steps: [], answers: [] };
const browser = await launch();
let form; // what the provider last posted

async function open() {
  const context = await browser.newContext({ ignoreHTTPSErrors: true }); // the site's authority is Caddy's own
  const page = await context.newPage();
  page.setDefaultTimeout(90000);
  page.on('request', (request) => {
    if (!request.url().startsWith(o.site + o.code)) return;
    if (request.method() === 'POST') form = request.postData();
    const answer = { method: request.method(), url: request.url() };
    seen.answers.push(answer);
    request.allHeaders().then((h) => Object.assign(answer, { from: h['sec-fetch-site'], cookies: (h.cookie || '').split('; ').map((c) => c.split('=')[0]) })).catch(() => {});
  });
  return { context, page };
}
async function step(name, page, context) {
  await page.waitForLoadState();
  seen.steps.push({ name, url: page.url(), text: await page.locator('body').innerText(), cookies: (await context.cookies(o.site)).map(({ name, sameSite, secure }) => ({ name, sameSite, secure })) });
}
async function signIn(page, user) {
  await page.locator('input[name=login], input[name=username]').fill(user);
  await page.locator('input[name=password]').fill(`${user}-pw`);
  await page.locator('button[type=submit]').click();
}
// postAgain posts the same response from a page of another site.
async function postAgain(page) {
  await page.goto(o.elsewhere);
  await page.evaluate(([action, fields]) => {
    const f = document.createElement('form');
    f.method = 'post';
    f.action = action;
    for (const [name, value] of new URLSearchParams(fields)) f.append(Object.assign(document.createElement('input'), { name, value }));
    document.body.append(f);
    f.submit();
  }, [o.site + o.code, form]);
  await page.waitForURL((u) => u.origin === o.site);
}

try {
  const { context, page } = await open();
  await page.goto(o.site + o.page);
  await page.locator('input[name=password]').waitFor();
  await step('asked', page, context);
  await signIn(page, 'alice');
  await page.waitForURL(o.site + o.page);
  await step('back', page, context);
  await postAgain(page);
  await page.waitForURL(o.site + o.page);
  await step('again', page, context);
  const other = await open();
  await postAgain(other.page);
  await step('stranger', other.page, other.context);
} catch (e) {
  seen.error = e.message;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
