// A circle through two latents.
import { breeding, showSources } from '../common/about.js';

/** @param {Tab} tab */
export default function loop({ $, controls, find, latest, link, onFirstOpen, page, python, server }) {
  const { models, main } = breeding(page);
  const state = { model: main, class: models[main].class, seed: 0 };
  const address = link.view('loop', { ...state });
  const [film, save] = find('.loop-film', '.loop-save');
  const ask = latest(server.loop, answer => {
    film.src = save.href = answer.film;
    film.style.width = `${Math.min(answer.size, 256)}px`;
    save.download = `${answer.model.split('/').at(-1)}-${answer.seed}.${answer.extension ?? 'webp'}`;
    showSources($('.loop-sources'), page.models[answer.model].sources);
    python.set('Loop', answer.code);
  });
  function draw() {
    address.set(state);
    ask(state);
  }
  const menus = controls('loop-', state, draw, { models });
  onFirstOpen('loop', () => {
    menus.restore(address);
    draw();
  });
}
