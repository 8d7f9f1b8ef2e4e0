// A circle through two latents.
import { showSources } from '../common/about.js';

/** @param {import('../common/tab.js').Tab} tab */
export default function loop({ $, controls, latest, link, onFirstOpen, page, python, server }) {
  const state = { model: page.main, seed: 0 };
  const address = link.view('loop', { ...state });
  const [film, save] = ['.loop-film', '.loop-save'].map(name => $(name));
  const ask = latest(server.loop, answer => {
    film.src = save.href = answer.film;
    film.style.width = `${Math.min(answer.size, 256)}px`;
    save.download = `${answer.model.split('/').at(-1)}-${answer.seed}.webp`;
    showSources($('.loop-sources'), page.models[answer.model].sources);
    python.set('Loop', answer.code);
  });
  function draw() {
    address.set(state);
    ask(state);
  }
  const able = Object.entries(page.models).filter(([, { breeds }]) => breeds);
  const menus = controls('loop-', state, draw, { models: Object.fromEntries(able) });
  onFirstOpen('loop', () => {
    menus.restore(address);
    draw();
  });
}
