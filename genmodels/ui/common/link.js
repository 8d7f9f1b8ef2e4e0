import { make } from './dom.js';
import { t } from './text.js';

const TAB_NAMES = new Map([
  ['map', 'Map'],
  ['samples', 'Samples'],
  ['classes', 'Classes'],
  ['real_or_fake', 'Real or fake?'],
  ['training', 'Training'],
]);
const SITE = document.title;

/** The tab and the view that are on show; of a tab's views the first one is ''. */
function placeNow() {
  const given = new URLSearchParams(location.search);
  return { tab: given.get('tab') ?? 'map', view: given.get('show') ?? '' };
}

/** The button of a tab, if it is there. @param {string} tab */
function buttonOf(tab) {
  const name = TAB_NAMES.get(tab) ?? '';
  const buttons = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[role="tab"]'));
  return [...buttons].find(button => button.textContent.trim() === t([name]));
}
// The browser's Back and Forward go from tab to tab, and from view to view.
addEventListener('popstate', () => {
  const button = buttonOf(placeNow().tab);
  if (button?.getAttribute('aria-selected') === 'false') button.click();
});

/**
 * The address says what is shown, so that it can be kept and sent: ?tab=classes&seed=10&labels=2026. What stands in it
 * is a wish: the controls take what they know, and the server bounds the rest. Of a tab's views it tells the one that
 * is shown.
 * @param {HTMLElement} element @param {string} tab
 */
export function linkOf(element, tab) {
  const given = new URLSearchParams(location.search);
  const panel = element.closest('[role="tabpanel"]');
  const ours = given.get('tab') === tab || (!panel && !given.has('tab'));
  // What is said of each view; '' are all views, or a tab that has none.
  const own = [...given].filter(([name]) => name !== 'tab' && name !== 'show' && !name.startsWith('__'));
  /** @type {Record<string, Record<string, unknown>>} */
  const values = { '': ours ? Object.fromEntries(own) : {} };
  /** @type {(() => void)[]} */
  const restores = [];
  // The view that the address asks for, the first one, and the one on show.
  let [asked, first, shown] = ['', '', ''];
  const root = document.documentElement;
  /** What the address asks for that is not here, as from another day's page. @type {Set<string>} */
  const lost = new Set();
  const note = make('p', { className: 'note lost', role: 'status' });
  /** @param {string} name @param {string | null} value */
  function lose(name, value) {
    lost.add(`${name}=${value}`);
    const wishes = [...lost].map(wish => (wish.length > 60 ? `${wish.slice(0, 60)}…` : wish)).join(', ');
    note.textContent = t`The address asks for ${wishes}, which this page does not have: it shows what it has.`;
    element.prepend(note);
    return null;
  }
  // A tab that is put together after another one was opened by the visitor.
  let hidden = Boolean(panel && root.dataset.opened && !ours);
  let soon = 0;
  // Browsers do not like many changes of the address at once.
  function write() {
    clearTimeout(soon);
    soon = setTimeout(() => {
      if (!element.clientWidth) return;
      const params = new URLSearchParams([
        ...[...new URLSearchParams(location.search)].filter(([name]) => name.startsWith('__')),
        ...(panel ? [['tab', tab]] : []),
        ...(shown === first ? [] : [['show', shown]]),
        ...Object.entries({ ...values[shown], ...values[''] }).map(([name, value]) => [name, String(value)]),
      ]);
      const before = placeNow();
      const moved = panel && (before.tab !== tab || before.view !== (shown === first ? '' : shown));
      const address = `?${String(params).replaceAll('%2C', ',')}${location.hash}`;
      if (moved) history.pushState(history.state, '', address);
      else history.replaceState(history.state, '', address);
      entitle();
    }, 300);
  }
  /** Lets the browser's tab, its history and bookmarks say what is shown. */
  function entitle() {
    const view = element.querySelector('.views [aria-pressed="true"]')?.textContent;
    const name = t([TAB_NAMES.get(tab) ?? '']);
    if (element.clientWidth) document.title = `${view ? `${name}: ${view}` : name} · ${SITE}`;
  }
  // When a visitor changes to this tab.
  new ResizeObserver(() => {
    if (hidden && element.clientWidth) write();
    hidden = !element.clientWidth;
  }).observe(element);
  // The other tabs are put together when they are opened: the first that is there opens the wanted one, once.
  const isTab = TAB_NAMES.has(given.get('tab') ?? '');
  if (given.has('tab') && !ours && (!panel || !(isTab || root.dataset.opened))) lose('tab', given.get('tab'));
  const open = () => {
    const wanted = buttonOf(given.get('tab') ?? '');
    if (wanted) wanted.click();
    else if (element.isConnected) setTimeout(open, 100);
  };
  if (panel && isTab && !ours && !root.dataset.opened) open();
  root.dataset.opened = 'true';

  /**
   * The part of the address that is about a view; what is as `usual` is left out.
   * @param {string} view @param {Record<string, unknown>} usual
   */
  const at = (view, usual = {}) => {
    const isWanted = () => ours && (!view || view === asked);
    const get = (/** @type {string} */ name) => (isWanted() ? given.get(name) : null);
    return {
      get,
      /** A whole number, null if the address has none in this range. @param {string} name */
      count(name, most = Infinity, least = 0) {
        const wanted = get(name);
        const number = /^\d{1,10}$/.test(wanted ?? '') ? Number(wanted) : -1;
        if (number >= least && number <= most) return number;
        return wanted === null ? null : lose(name, wanted);
      },
      /**
       * A number, null if the address has none in this range.
       * @param {string} name @param {number} low @param {number} high
       */
      number(name, low, high) {
        const wanted = get(name);
        const number = parseFloat(wanted ?? '');
        if (number >= low && number <= high) return number;
        return wanted === null ? null : lose(name, wanted);
      },
      /**
       * Numbers between commas, in so many places, null if the address has anything else.
       * @param {string} name @param {number} [places]
       */
      numbers(name, places) {
        const wanted = get(name);
        const found = (wanted ?? '').split(',').map(parseFloat);
        if (found.every(Number.isFinite) && (!places || found.length === places)) return found;
        return wanted === null ? null : lose(name, wanted);
      },
      /**
       * One of the words that are known, null if the address has no such one.
       * @param {string} name @param {string[]} known
       */
      option(name, known) {
        const wanted = get(name);
        return wanted === null || known.includes(wanted) ? wanted : lose(name, wanted);
      },
      /** @param {Record<string, unknown>} changes */
      set(changes) {
        const told = Object.entries({ ...values[view], ...changes });
        values[view] = Object.fromEntries(
          told.filter(([name, value]) => value !== undefined && String(value) !== String(usual[name])),
        );
        write();
      },
      /**
       * Runs once the tab has its first pictures, if the address asks this view for anything.
       * @param {() => void} run
       */
      restore(run) {
        restores.push(() => {
          if (isWanted()) run();
        });
      },
    };
  };
  return {
    ...at(''),
    view: at,
    /**
     * The tab's views in their order: returns which one the address opens.
     * @param {string[]} names @param {(name: string) => void} go opens one to which the browser goes back
     */
    views(names, go) {
      first = names[0];
      const wanted = given.get('show') ?? '';
      if (ours && wanted && !names.includes(wanted)) lose('show', wanted);
      asked = shown = ours && names.includes(wanted) ? wanted : first;
      Object.assign(values, { '': {}, [asked]: values[''] });
      addEventListener('popstate', () => {
        const place = placeNow();
        const name = place.view || first;
        if (element.isConnected && place.tab === tab && name !== shown && names.includes(name)) go(name);
      });
      return asked;
    },
    /** @param {string} name */
    show(name) {
      shown = name;
      write();
    },
    /** Does as the address says; from then on the tab belongs to the visitor. */
    apply() {
      for (const run of restores) run();
      entitle();
      element.dataset.ready = 'true';
    },
  };
}
