// Starts the page that has no server: its tabs when they are opened, and the models when they are wanted.
const home = new URL('../', import.meta.url);
/** @param {string} path */
async function read(path) {
  const answer = await fetch(new URL(path, home));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[role="tab"]')]);
const asked = new URLSearchParams(location.search);
const first = tabs.find(tab => tab.dataset.name === asked.get('tab')) ?? tabs[0];
const at = (/** @type {HTMLElement} */ tab) => new URL(`tabs/${tab.dataset.name}.json`, home);
// It comes while the modules do; if it does not, it is asked for again when it is needed.
const early = fetch(at(first))
  .then(answer => (answer.ok ? answer.json() : null))
  .catch(() => null);

const dark = matchMedia('(prefers-color-scheme: dark)');
const paint = () =>
  document.body.classList.toggle('dark', (asked.get('__theme') ?? (dark.matches ? 'dark' : '')) === 'dark');
dark.addEventListener('change', paint);
paint();

const main = /** @type {HTMLElement} */ (document.querySelector('main'));
const language = navigator.language.slice(0, 2);
// Where the modules look for translations, as Gradio has them.
if ((main.dataset.languages ?? '').split(' ').includes(language)) {
  const texts = await read(`languages/${language}.json`).catch(() => ({}));
  Object.assign(window, { gradio_config: { i18n_translations: { [language]: texts } } });
}
// @ts-expect-error: it is joined from all modules beside it when the page is built.
const { openTab, pageBackend, readTab, t, translate } = await import('../common/all.js').catch(error => {
  /** @type {HTMLElement} */ (document.querySelector('.stale')).hidden = false;
  throw error;
});
// Files that keep their name from one version of the page to the next are asked for by this one's.
const [version] = home.pathname.split('/').slice(-2);
const backend = read('models.json')
  .catch(() => [])
  .then(models => pageBackend({ root: '.', models, packed: true, version }));

const panelOf = (/** @type {HTMLElement} */ tab) =>
  /** @type {HTMLElement} */ (document.getElementById(tab.getAttribute('aria-controls') ?? ''));
/** @param {HTMLElement} tab */
async function open(tab) {
  for (const other of tabs) {
    other.setAttribute('aria-selected', String(other === tab));
    other.tabIndex = other === tab ? 0 : -1;
    panelOf(other).hidden = other !== tab;
  }
  const panel = panelOf(tab);
  if (panel.dataset.begun) return;
  panel.dataset.begun = 'true';
  const element = document.createElement('div');
  panel.firstElementChild?.replaceChildren(element);
  const content = async () => (tab === first && (await early)) || readTab(at(tab));
  await openTab(
    element,
    content,
    backend.then((/** @type {any} */ found) => found[tab.dataset.name ?? '']),
  );
}
for (const tab of tabs) {
  tab.textContent = t([tab.textContent ?? '']);
  tab.addEventListener('click', () => open(tab));
}
document.querySelector('[role="tablist"]')?.addEventListener('keydown', event => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[/** @type {KeyboardEvent} */ (event).key];
  if (!step) return;
  const at = tabs.findIndex(tab => tab.tabIndex === 0);
  const next = tabs[(at + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
});
const header = document.querySelector('header');
if (header) translate(header);
open(first);
navigator.serviceWorker?.register('offline.js').catch(() => {});
