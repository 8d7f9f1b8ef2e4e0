// Sliders along the principal directions of a generator: images before and after.
import { breeding, showSources } from '../common/about.js';
import { make, onResize } from '../common/dom.js';
import { loadImage, pictureOf, wholeMultiple } from '../common/pictures.js';
import { decimal, signed, t } from '../common/text.js';

const GAP = 6;

/** @param {Tab} tab */
export default function directions(tab) {
  const { $, controls, element, latest, link, noticeIn, onFirstOpen, page, python, server } = tab;
  const { images, limit } = page.moves;
  const pairs = $('.directions-pairs');
  const address = link.view('directions');
  const { models, main } = breeding(page);
  const state = { model: main, class: '', seed: 0, size: 0 };
  /** @type {number[]} */
  let strengths = [];
  /** The images before and after. @type {HTMLImageElement[]} */
  let sheets = [];
  const tell = noticeIn($('.directions-notice'));

  function showSliders(/** @type {number[]} */ explained) {
    const sliders = explained.map((share, k) => {
      const value = strengths[k] ?? 0;
      const properties = { type: 'range', min: -limit, max: limit, step: 0.25, value };
      const slider = make('input', { ...properties, 'aria-label': t`Direction ${k + 1}` });
      const output = make('output', { className: 'figures' }, signed(value));
      slider.addEventListener('input', () => {
        strengths[k] = +slider.value;
        output.textContent = signed(+slider.value);
        move();
      });
      const percent = decimal(100 * share, share < 0.1 ? 1 : 0);
      return make('label', {}, make('span', {}, t`${k + 1}: ${percent}% of variance`), slider, output);
    });
    $('.directions-sliders').replaceChildren(...sliders);
  }
  const columns = () => (element.clientWidth < 900 ? 4 : images);
  // Two rows on wide screens; on narrow ones four before, four after, and again.
  function paintPairs() {
    if (!sheets.length || !element.clientWidth) return;
    const room = Math.min(pairs.parentElement.clientWidth, 640) - GAP * (columns() - 1);
    const width = wholeMultiple(state.size, room / columns(), 96);
    /** @type {HTMLElement[]} */
    const rows = [];
    for (let start = 0; start < images; start += columns()) {
      sheets.forEach((sheet, i) => {
        rows.push(make('span', { className: 'note' }, ['z', 'z′'][i]));
        for (let k = start; k < start + columns(); k++) {
          const canvas = pictureOf(sheet, k, images, state.size);
          canvas.style.width = `${width}px`;
          rows.push(canvas);
        }
      });
    }
    pairs.replaceChildren(...rows);
  }
  /** @param {Answer} answer @param {Job} job */
  const show = async (answer, job) => {
    if (answer.model !== state.model) return;
    state.size = answer.size;
    sheets = await Promise.all([answer.before, answer.after].map(loadImage));
    if (job.extra) {
      strengths = answer.strengths;
      showSliders(answer.explained);
    }
    paintPairs();
    const moved = answer.strengths.map((/** @type {number} */ v) => signed(v)).join('; ');
    pairs.setAttribute('aria-label', t`${images} images before, and moved by ${moved} along the directions`);
    showSources($('.directions-sources'), page.models[answer.model].sources);
    python.set('Directions', answer.code);
  };
  const ask = latest(server.moved, show, tell, tell);
  // `anew`: the sliders too.
  function move(anew = false) {
    const { model, seed } = state;
    const chosen = { model, class: state.class, seed };
    address.set({ ...chosen, move: strengths });
    ask({ ...chosen, strengths }, anew);
  }
  const changed = () => {
    strengths = [];
    tell(t`Drawing 2,000 images to find its directions.`);
  };
  $('.directions-reset').addEventListener('click', () => {
    strengths = [];
    move(true);
  });
  const anew = () => move(!strengths.length);
  const menus = controls('directions-', state, anew, { models, changed });
  onResize(element, paintPairs);
  python.picture('Directions', '.directions-pairs canvas', columns);
  onFirstOpen('directions', () => {
    menus.restore(address);
    changed();
    strengths = address.numbers('move') ?? [];
    move(true);
  });
}
