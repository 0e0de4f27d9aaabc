// Asks the browser for a passkey, or to make one, with the options of the form, and
// posts what it answers. In the field of the user name passkeys are offered as soon
// as the page is there, where the browser can do that.
'use strict';
(() => {
  const form = document.getElementById('passkey');
  const { credentials } = navigator;
  if (!window.PublicKeyCredential || !credentials) {
    const unsupported = document.querySelector('[data-unsupported]');
    if (unsupported) unsupported.hidden = false;
    return;
  }
  const problem = form.querySelector('[data-problem]');
  const creates = 'create' in form.dataset;
  const parsed = JSON.parse(form.dataset.options);
  const options = parsed.publicKey || parsed;

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const withIDs = (list) => (list || []).map((item) => ({ ...item, id: bytes(item.id) }));

  const read = () => creates
    ? { ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) }, excludeCredentials: withIDs(options.excludeCredentials) }
    : { ...options, challenge: bytes(options.challenge), allowCredentials: withIDs(options.allowCredentials) };

  const write = (credential) => {
    const { response } = credential;
    const shown = {};
    for (const name of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
      if (response[name]) shown[name] = text(response[name]);
    }
    if (response.getTransports) shown.transports = response.getTransports();
    return JSON.stringify({
      id: credential.id, rawId: text(credential.rawId), type: credential.type, response: shown,
      authenticatorAttachment: credential.authenticatorAttachment || undefined, clientExtensionResults: credential.getClientExtensionResults(),
    });
  };

  let waiting = null;
  const ask = async (mediation) => {
    if (waiting) waiting.abort();
    const mine = waiting = new AbortController();
    const request = { publicKey: read(), signal: mine.signal };
    if (mediation) request.mediation = mediation;
    try {
      const credential = await (creates ? credentials.create(request) : credentials.get(request));
      form.elements.credential.value = write(credential);
      form.submit();
    } catch {
      if (!mine.signal.aborted && !mediation) problem.hidden = false;
    }
  };

  form.hidden = false;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    problem.hidden = true;
    ask();
  });
  const conditional = window.PublicKeyCredential.isConditionalMediationAvailable;
  if (!creates && 'autofill' in form.dataset && conditional) {
    conditional.call(window.PublicKeyCredential).then((available) => { if (available && !waiting) ask('conditional'); });
  }
})();
