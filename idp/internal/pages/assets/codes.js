// Copies and prints the recovery codes.
'use strict';
(() => {
  const codes = [...document.querySelectorAll('#codes code')].map((code) => code.textContent);
  const copy = document.getElementById('copy');
  document.getElementById('tools').hidden = false;
  if (navigator.clipboard) {
    copy.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(codes.join('\n') + '\n');
        document.getElementById('copied').textContent = copy.dataset.done;
      } catch {
        copy.hidden = true; // the browser does not allow it
      }
    });
  } else {
    copy.hidden = true;
  }
  document.getElementById('print').addEventListener('click', () => window.print());
})();
