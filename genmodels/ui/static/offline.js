// Keeps the page for visits without a network: all that opens it at once, models as they are used. Each version has a
// place of its own, and the first thing that a new one does is to clear away the old.
const worker = /** @type {any} */ (self);
const VERSION = 'genmodels-<version>';
/** @type {string[]} */
const OPENS = JSON.parse('<files>');

worker.addEventListener('install', (/** @type {any} */ event) => {
  const all = async () => {
    const place = await caches.open(VERSION);
    await place.addAll(OPENS.map(path => new Request(path, { cache: 'reload' })));
    await worker.skipWaiting();
  };
  event.waitUntil(all());
});
worker.addEventListener('activate', (/** @type {any} */ event) => {
  const clear = async () => {
    const old = (await caches.keys()).filter(name => name.startsWith('genmodels-') && name !== VERSION);
    await Promise.all(old.map(name => caches.delete(name)));
    await worker.clients.claim();
  };
  event.waitUntil(clear());
});

/** @param {Request} request */
async function answer(request) {
  // Where there is no room left, or browsers keep nothing at all, the page goes on with what comes from the network.
  const place = await caches.open(VERSION).catch(() => null);
  const kept = (/** @type {Request | string} */ asked) => place?.match(asked, { ignoreVary: true }).catch(() => null);
  // The newest page there is; what it is made of has its version in its address.
  if (request.mode === 'navigate') return fetch(request).catch(async () => (await kept('./')) ?? Response.error());
  const known = await kept(request);
  if (known) return known;
  const found = await fetch(request);
  if (found.status === 200) place?.put(request, found.clone()).catch(() => {});
  return found;
}
worker.addEventListener('fetch', (/** @type {any} */ event) => {
  const { request } = event;
  if (request.method === 'GET' && new URL(request.url).origin === location.origin) event.respondWith(answer(request));
});
