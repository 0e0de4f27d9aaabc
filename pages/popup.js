// Says how a login in a window of its own has ended, to the page that opened the window
// if it is of this site, and closes the window. A provider can cut the windows from
// each other; then the pages of the site hear it on a channel.
'use strict';
(() => {
  const error = document.getElementById('outcome').dataset.error;
  const message = error ? { type: 'oidc_rp', error } : { type: 'oidc_rp', ok: true };
  if (window.opener) {
    window.opener.postMessage(message, location.origin);
  } else if (window.BroadcastChannel) {
    new BroadcastChannel('oidc_rp').postMessage(message);
  }
  window.close();
})();
