// Takes the screenshots in docs/images, for the script docs/images/make, which starts it:
//   node screens.mjs '{"demo": …, "choosing": …, "refusing": …, "doctor": …, "dashboard": …, "folder": …}'
// demo, choosing, and refusing are origins; doctor is a file with the output of `caddy oidc-rp check`; dashboard is an
// SVG.
import { readFileSync } from 'node:fs';
import { launch } from './chromium.mjs';

const o = JSON.parse(process.argv[2]);
const browser = await launch();

// picture takes a screenshot of a page in a new browser, in a window of this size.
async function picture(name, width, height, visit) {
  const context = await browser.newContext({ viewport: { width, height }, deviceScaleFactor: 1 });
  const page = await context.newPage();
  await visit(page);
  await page.waitForLoadState();
  await page.screenshot({ path: `${o.folder}/${name}.png` });
  await context.close();
}

async function signIn(page, user, password) {
  await page.locator('input[name=username]').fill(user);
  await page.locator('input[name=username]').press('Enter');
  await page.locator('input[type=password]').fill(password);
  await page.locator('input[type=password]').press('Enter');
}

const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

try {
  await picture('demo', 1000, 760, async (page) => {
    await page.goto(`${o.demo}/private`);
    await signIn(page, 'alice', 'wonderland');
    await page.waitForURL(`${o.demo}/private*`);
  });
  await picture('chooser', 720, 560, (page) => page.goto(`${o.choosing}/`));
  await picture('refused', 720, 560, async (page) => {
    await page.goto(`${o.refusing}/`);
    await signIn(page, 'bob', 'buildings');
    await page.waitForURL(`${o.refusing}/*`);
  });
  const lines = escape(readFileSync(o.doctor, 'utf8').trimEnd())
    .replace(/✔/g, '<b style="color:#1a7f37">✔</b>').replace(/✘/g, '<b style="color:#cf222e">✘</b>').replace(/^(\s*)!/gm, '$1<b style="color:#9a6700">!</b>');
  await picture('doctor', 760, 30 + 18 * lines.split('\n').length, (page) => page.setContent(
    `<body style="margin:0;background:#fff;color:#1f2328"><pre style="margin:15px;font:13px/18px 'DejaVu Sans Mono',monospace;white-space:pre-wrap">${lines}</pre>`));
  const dashboard = readFileSync(o.dashboard, 'utf8');
  const [, width, height] = dashboard.match(/width="(\d+)" height="(\d+)"/).map(Number);
  await picture('dashboard', width, height, (page) => page.setContent(`<body style="margin:0">${dashboard}`));
} finally {
  await browser.close();
}
