// What the journeys at the identity provider share: its forms, the codes of an authenticator app, and a device with
// passkeys.
import { createHmac } from 'node:crypto';
import { open } from './chromium.mjs';

// journey runs a journey, prints what it saw as one line of JSON, and ends the process. go gets a function that records
// a step, and one that makes a request to the Go test.
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

// press clicks the first visible button and waits for the next page.
export async function press(page, button = 'main form:not([hidden]) button[type=submit]') {
  await Promise.all([page.waitForNavigation(), page.locator(button).locator('visible=true').first().click()]);
}

// send fills in a form and submits it.
export async function send(page, fields) {
  for (const [name, value] of Object.entries(fields)) await page.locator(`input[name=${name}]:visible`).fill(value);
  await press(page);
}

// signIn opens a page of an application and signs in there with the password and whatever else the page asks for.
export async function signIn(page, address, user, more = {}) {
  await page.goto(address);
  await send(page, { username: user.name });
  await send(page, { password: user.password, ...more });
}

// addCode adds a factor on the page that shows its seed. It returns the app and the recovery codes, if the page shows
// any.
export async function addCode(page) {
  const phone = app(await page.locator('code.secret').innerText());
  await send(page, { code: await phone.code() });
  return { phone, codes: await keptCodes(page) };
}

// keptCodes leaves the page with the recovery codes, if the browser is there.
export async function keptCodes(page) {
  const codes = await page.locator('#codes code').allInnerTexts();
  if (codes.length) await press(page, 'main form button[type=submit], main a.button');
  return codes;
}

// until reloads a page until the condition holds, and returns after how many milliseconds it did.
export async function until(page, address, holds) {
  const began = Date.now();
  for (;;) {
    await page.goto(address);
    if (await holds()) return Date.now() - began;
    if (Date.now() - began > 15000) throw new Error(`${address} is still the same after 15 s`);
    await page.waitForTimeout(100);
  }
}

// app is an authenticator app with this seed. It returns no code twice: if the current one was used, code waits for the
// next.
export function app(seed) {
  const bits = [...seed.replace(/\s/g, '').toUpperCase()].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  let last = 0;
  return {
    async code() {
      let step = Math.floor(Date.now() / 30000);
      while (step <= last) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        step = Math.floor(Date.now() / 30000) + 1; // the next code is accepted too
      }
      last = step;
      const counter = Buffer.alloc(8);
      counter.writeBigUInt64BE(BigInt(step));
      const mac = createHmac('sha1', key).update(counter).digest();
      return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
    },
  };
}

// device adds an authenticator to a tab's browser, which stores passkeys and verifies the user.
export async function device(context, page) {
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable', {});
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  return {
    credentials: async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials.map(({ rpId, userHandle, signCount, isResidentCredential }) => ({ rpId, userHandle, signCount, isResidentCredential })),
    // present sets whether the user is there and allows the use of passkeys.
    present: (enabled) => cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled }),
  };
}
