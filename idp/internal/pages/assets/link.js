// Takes the secret of a link from the fragment of the address, which browsers send to
// no server, puts it into the form, and clears the address. The user presses the
// button. Without a secret the page asks for the code of the mail.
'use strict';
(() => {
  const take = () => {
    const secret = location.hash.slice(1);
    if (!/^[A-Za-z0-9_-]{16,128}$/.test(secret)) return;
    history.replaceState(null, '', location.pathname + location.search);
    const form = document.getElementById('link');
    form.elements.token.value = secret;
    form.hidden = false;
    document.getElementById('typed').hidden = true;
    form.querySelector('button').focus();
  };
  window.addEventListener('hashchange', take); // the link was opened where its page is already
  take();
})();
