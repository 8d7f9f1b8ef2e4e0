// Every model in a row, the same random numbers in a column.
import { measured, showSources } from '../common/about.js';
import { make, makeButton } from '../common/dom.js';
import { loadImage, paintFrame } from '../common/pictures.js';
import { t, whole } from '../common/text.js';

const FRAMES = 25;

/** @param {Tab} tab */
export default function gallery({ $, controls, latest, link, noticeIn, onFirstOpen, onOpen, page, python, server }) {
  const state = { seed: 0, pair: [0, 3], next: 0 };
  /** @typedef {{section: HTMLElement, ask: (asked: object) => void, paintWalk: () => void}} Row */
  /** @type {Row[]} */
  let rows = [];
  const address = link.view('all', { seed: state.seed, a: state.pair[0], b: state.pair[1] });
  const slider = $('.gallery-t');

  // The buttons above the columns.
  const columns = Array.from({ length: page.columns }, (_, i) =>
    makeButton({ className: 'col' }, () => {
      state.pair[state.next] = i;
      state.next = 1 - state.next;
      mark();
      ask();
    }),
  );
  const heads = make(
    'div',
    { className: 'row-of heads' },
    make('p', { className: 'note', textContent: t`Pick two columns.` }),
    ...columns,
    make('span', { className: 'walk-head', textContent: t`A to B` }),
  );
  function mark() {
    columns.forEach((button, i) => {
      const end = ['A', 'B'].filter((_, j) => state.pair[j] === i).join(' ');
      if (end) button.dataset.end = end[0];
      else delete button.dataset.end;
      button.textContent = end || String(i + 1);
      button.setAttribute('aria-label', `${t`Column ${i + 1}`}${end ? `, ${end}` : ''}`);
      button.setAttribute('aria-pressed', String(Boolean(end)));
    });
  }

  /** @param {[string, Model]} model @returns {Row} */
  function row([name, { title, figures, reason }]) {
    /** @param {string} className @param {string} what */
    const canvas = (className, what) => make('canvas', { className, role: 'img', 'aria-label': `${title}, ${what}` });
    const cells = columns.map((_, i) => canvas('cell-of', t`column ${i + 1}`));
    const walk = canvas('walk', t`between A and B`);
    const latent = make('span', { className: 'note latent' });
    const words = figures ? measured(figures) : t`FID and recall have not been measured.`;
    const about = make('div', {}, make('h2', {}, title), make('p', { className: 'note' }, words), latent);
    const failed = make('p', { className: 'note failed', hidden: true });
    const section = make('section', { className: 'row-of', 'aria-label': title }, about, failed, ...cells, walk);
    const tell = noticeIn(failed);
    const fail = (/** @type {string} */ message) => {
      tell(message);
      for (const shown of [...cells, walk]) shown.hidden = true;
    };
    /** @type {HTMLImageElement | null} */
    let film = null;
    const paintWalk = () => {
      if (film) paintFrame(walk, film, +slider.value, FRAMES, film.height);
    };
    const show = async (/** @type {Answer} */ answer) => {
      const [sheet, way] = await Promise.all([loadImage(answer.sheet), loadImage(answer.film)]);
      cells.forEach((cell, i) => paintFrame(cell, sheet, i, page.columns, answer.size));
      film = way;
      paintWalk();
      latent.textContent = t`latent of ${whole(answer.latent_dim)} numbers`;
      python.set('All models', answer.code);
      section.dataset.seed = String(state.seed);
    };
    const askRow = latest(server.row, show, fail, tell);
    if (reason) fail(reason);
    return { section, paintWalk, ask: asked => (reason ? undefined : askRow({ model: name, ...asked })) };
  }
  function ask() {
    const [a, b] = state.pair;
    const { seed } = state;
    address.set({ seed, a, b });
    for (const row of rows) row.ask({ seed, a, b });
  }

  slider.addEventListener('input', () => rows.forEach(row => row.paintWalk()));
  const menus = controls('gallery-', state, ask);
  python.picture('All models', '.cell-of', () => page.columns);
  onFirstOpen('all', () => {
    menus.restore(address);
    state.pair = state.pair.map((usual, i) => address.count('ab'[i], page.columns - 1) ?? usual);
    rows = Object.entries(page.models).map(row);
    $('.gallery-top').append(heads);
    $('.rows').append(...rows.map(({ section }) => section));
    const places = Object.values(page.models).map(({ title, sources }) => {
      const place = make('p', { className: 'note sources' });
      showSources(place, sources, title);
      return place;
    });
    const told = places.filter(place => place.childNodes.length);
    $('.gallery-sources').append(...told);
    $('.gallery-sources').hidden = !told.length;
    mark();
  });
  onOpen('all', ask);
}
