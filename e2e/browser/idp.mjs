// What journeys at the identity provider have in common: its forms, codes by time as an authenticator app shows them, and
// a device with passkeys.
import { createHmac } from 'node:crypto';
import { open } from './chromium.mjs';

// journey runs a journey, prints what it has seen as one line of JSON, and ends the process. go is called with a function
// that notes a step, and one that asks the Go test for something.
export async function journey(o, browser, go) {
  const seen = { steps: [], violations: [], shots: [] };
  const contexts = [];
  const step = async (page, name, data) => {
    await page.waitForLoadState();
    seen.steps.push({ name, url: page.url(), text: await page.locator('body').innerText(), ...data });
  };
  const ask = async (what, arg = '') => {
    const answer = await fetch(`${o.hands}/${what}?arg=${encodeURIComponent(arg)}`);
    if (!answer.ok) throw new Error(`${what}: ${await answer.text()}`);
    return answer.text();
  };
  const tab = async () => {
    const opened = await open(browser, o.site, seen);
    contexts.push(opened.context);
    return opened;
  };
  try {
    await go({ step, ask, tab, seen });
  } catch (e) {
    const page = contexts.at(-1)?.pages().at(-1);
    seen.error = `${e.message}\nat ${page?.url()}:\n${await page?.locator('body').innerText().catch(() => '')}`;
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
  process.exit(seen.error ? 1 : 0);
}

// press presses the first button that is shown, and waits for the page that follows.
export async function press(page, button = 'main form:not([hidden]) button[type=submit]') {
  await Promise.all([page.waitForNavigation(), page.locator(button).locator('visible=true').first().click()]);
}

// send fills a form and sends it.
export async function send(page, fields) {
  for (const [name, value] of Object.entries(fields)) await page.locator(`input[name=${name}]:visible`).fill(value);
  await press(page);
}

// signIn goes to a page of an application, and signs in there with the password and whatever else the page asks for.
export async function signIn(page, address, user, more = {}) {
  await page.goto(address);
  await send(page, { username: user.name });
  await send(page, { password: user.password, ...more });
}

// addCode adds a factor by code on the page that shows its seed, and returns the app and the recovery codes, if any are
// shown.
export async function addCode(page) {
  const phone = app(await page.locator('code.secret').innerText());
  await send(page, { code: await phone.code() });
  return { phone, codes: await keptCodes(page) };
}

// keptCodes leaves the page of the recovery codes, if that is where the browser is.
export async function keptCodes(page) {
  const codes = await page.locator('#codes code').allInnerTexts();
  if (codes.length) await press(page, 'main form button[type=submit], main a.button');
  return codes;
}

// until reloads a page until something holds of it, and says after how many milliseconds.
export async function until(page, address, holds) {
  const began = Date.now();
  for (;;) {
    await page.goto(address);
    if (await holds()) return Date.now() - began;
    if (Date.now() - began > 15000) throw new Error(`${address} is still the same after 15 s`);
    await page.waitForTimeout(100);
  }
}

// app is an authenticator app that has the seed. No code is shown twice: code waits for the next step where the last one
// was used.
export function app(seed) {
  const bits = [...seed.replace(/\s/g, '').toUpperCase()].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  let last = 0;
  return {
    async code() {
      let step = Math.floor(Date.now() / 30000);
      while (step <= last) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        step = Math.floor(Date.now() / 30000) + 1; // one step ahead is taken as well
      }
      last = step;
      const counter = Buffer.alloc(8);
      counter.writeBigUInt64BE(BigInt(step));
      const mac = createHmac('sha1', key).update(counter).digest();
      return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
    },
  };
}

// device is what a tab's browser keeps passkeys in, and what verifies its user.
export async function device(context, page) {
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable', {});
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  return {
    credentials: async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials.map(({ rpId, userHandle, signCount, isResidentCredential }) => ({ rpId, userHandle, signCount, isResidentCredential })),
    // present says whether the user is there and lets the device use passkeys.
    present: (enabled) => cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled }),
  };
}
