// The page as its own server: the functions of the tabs, computed in a worker from exported models.
import { make } from './dom.js';
import { t } from './text.js';

/**
 * @typedef {Record<string, any> & {name: string, folder: string, kind: string}} PageModel an entry of
 * models/index.json
 */

// What the worker is made of lies beside this module.
const WORKER = '../in_page/all.js';
const PATIENCE_MS = 20_000;

/** A bar at the end of the page, as long as files come. */
function progressBar() {
  const bar = make('progress', { max: 1 });
  const words = make('span');
  const place = make('div', { className: 'suite-progress', role: 'status', hidden: true }, words, bar);
  document.body.append(place);
  /** @param {{what: string, loaded: number, total: number}} came */
  return ({ what, loaded, total }) => {
    place.hidden = loaded >= total && total > 0;
    words.textContent = t`Loading ${what}`;
    if (total) bar.value = loaded / total;
    else bar.removeAttribute('value');
  };
}

/** Whether models run in this browser; what needs none of them works without: a small map, films, real images. */
export const runsModels = () => Boolean(globalThis.WebAssembly);

/**
 * The functions of every tab by the tab's name, such as `backend.samples.sheet`, for `start` as its `server`: a tab has
 * those that the models here can answer; none where this browser cannot compute.
 * @param {{root: string, models: PageModel[], packed?: boolean, version?: string}} where the address of the folder with
 * `engine` and `models`, the content of its models/index.json, whether files lie there as gzip, and what stands behind
 * their addresses
 * @returns {Promise<Record<string, Record<string, Call>>>}
 */
export async function pageBackend({ root, models, packed = false, version = '' }) {
  const none = pageBackend.nothing;
  if (!globalThis.Worker || !globalThis.CompressionStream) return none;
  const showProgress = progressBar();
  /** @type {Map<number, {answered: (answer: Answer) => void, see?: (part: Answer) => void}>} */
  const waiting = new Map();
  let last = 0;
  return new Promise(done => {
    /** @type {Worker} */
    let worker;
    const give = () => done(none);
    try {
      worker = new Worker(new URL(WORKER, import.meta.url), { type: 'module' });
    } catch {
      // From another host, as where a page embeds this one.
      give();
      return;
    }
    const timer = setTimeout(give, PATIENCE_MS);
    worker.onerror = give;
    worker.onmessage = ({ data }) => {
      if (data.progress) showProgress(data.progress);
      else if (data.tabs) {
        clearTimeout(timer);
        /** @type {(tab: string, name: string) => Call} */
        const call = (tab, name) =>
          Object.assign(
            (/** @type {object} */ payload, /** @type {((part: Answer) => void) | undefined} */ see) =>
              new Promise(answered => {
                waiting.set(++last, { answered, see });
                worker.postMessage({ id: last, tab, name, payload });
              }),
            { parts: true },
          );
        const tabs = Object.entries(/** @type {Record<string, string[]>} */ (data.tabs)).map(([tab, names]) => [
          tab,
          Object.fromEntries(names.map(name => [name, call(tab, name)])),
        ]);
        done(Object.fromEntries(tabs));
      } else if (data.part) waiting.get(data.id)?.see?.(data.part);
      else {
        waiting.get(data.id)?.answered(data.answer);
        waiting.delete(data.id);
      }
    };
    const address = new URL(root.replace(/\/?$/, '/'), document.baseURI).href;
    worker.postMessage({ root: address, models, packed, version, runs: runsModels() });
  });
}
/** What a browser has that cannot compute. @type {Record<string, Record<string, Call>>} */
pageBackend.nothing = { map: {}, samples: {}, classes: {}, real_or_fake: {}, training: {} };
