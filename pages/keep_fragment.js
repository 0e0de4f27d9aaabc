// Takes the part of an address after "#" through a login: browsers do not send it to
// servers. Before the login this page is at that address, and keeps the part in the
// storage of the tab; after it, the part is put behind the address that the server
// has written. Nothing else of that address can be changed from here.
'use strict';
(() => {
  const { next, keep, restore } = document.getElementById('next').dataset;
  const prefix = 'oidc_rp fragment ';
  const longest = 2048;
  const target = new URL(next, location.origin);
  if (target.protocol !== 'https:' && target.protocol !== 'http:') return;
  try {
    if (keep) {
      for (const key of Object.keys(sessionStorage)) {
        if (key.startsWith(prefix)) sessionStorage.removeItem(key); // of a login that was given up
      }
      const fragment = location.hash;
      if (fragment && fragment.length <= longest) sessionStorage.setItem(prefix + keep, fragment);
    } else if (restore) {
      const fragment = sessionStorage.getItem(prefix + restore);
      sessionStorage.removeItem(prefix + restore);
      if (fragment && fragment.length <= longest && !target.hash) target.hash = fragment;
    }
  } catch {
    // no storage in this browser
  }
  location.replace(target.href);
})();
