// Posts the answer to the application at once.
'use strict';
document.getElementById('submit').submit();
