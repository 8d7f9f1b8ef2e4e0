import { onResize } from '../common/dom.js';
import { fitWidth, loadImage, paintFrame } from '../common/pictures.js';
import { stepOf, t } from '../common/text.js';

/** The program of a film's frame, for another one. @param {string} code @param {number} i */
export const frameCode = (code, i) => code.replace(/film\.seek\(\d+\)/, `film.seek(${i})`);

/**
 * The film of a model's training under a slider, fetched when it comes into view: a function that shows that of a
 * model, or none for null.
 * @param {Tab} tab
 */
export function trainingFilm({ $, element, latest, python, server }) {
  const root = $('.training');
  const parts = ['canvas', '.step', 'output', '.waiting', '.reel'];
  const [canvas, slider, output, waiting, reel] = parts.map(name => $(name, root));
  /** @type {string | null} */
  let wanted = null;
  /** @type {Record<string, any> & {sheet: HTMLImageElement} | null} */
  let film = null;
  let near = false;
  function paint(touched = true) {
    if (!film) return;
    const i = +slider.value;
    paintFrame(canvas, film.sheet, i, film.columns, film.width, film.height);
    const text = stepOf(film.steps[i], film.steps.at(-1));
    output.textContent = text;
    slider.setAttribute('aria-valuetext', text);
    canvas.setAttribute('aria-label', t`The same latents at ${text}`);
    python.set('Film', frameCode(film.code, i), touched);
    fit();
  }
  function fit() {
    if (film && element.clientWidth) fitWidth(canvas, film.width, root.clientWidth, 2 * film.width);
  }
  const show = async (/** @type {Answer} */ answer) => {
    if (wanted !== answer.model) return;
    film = { ...answer, sheet: await loadImage(answer.sprite) };
    slider.max = slider.value = answer.count - 1;
    waiting.hidden = true;
    reel.hidden = false;
    paint(false);
  };
  const ask = latest(server.film, show, message => {
    waiting.textContent = message;
  });
  const fetchIt = () => {
    if (near && wanted && film?.model !== wanted) ask({ model: wanted });
  };
  slider.addEventListener('input', () => paint());
  python.picture('Film', '.training canvas');
  new IntersectionObserver(entries => {
    near = entries[entries.length - 1].isIntersecting;
    fetchIt();
  }).observe(root);
  onResize(root, fit);
  /** @param {string | null} model */
  return model => {
    wanted = model;
    root.hidden = !model;
    if (film?.model !== model) {
      reel.hidden = true;
      waiting.hidden = false;
      python.drop('Film');
    }
    fetchIt();
  };
}
