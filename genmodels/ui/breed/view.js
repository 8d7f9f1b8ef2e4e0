// Children of two latents.
import { breeding, showSources } from '../common/about.js';
import { make, makeButton } from '../common/dom.js';
import { loadImage, pictureOf } from '../common/pictures.js';
import { decimal, t } from '../common/text.js';

/** @param {Tab} tab */
export default function breed({ $, controls, element, latest, link, onFirstOpen, page, python, server }) {
  // `seed` is that of the parents whom all began with, `litter` that of the children.
  const { models, main } = breeding(page);
  const state = { model: main, class: '', seed: 0, litter: 0, next: 0, generation: 0 };
  /** @type {{parents: number[][], pictures: HTMLElement[]}} */
  const couple = { parents: [], pictures: [] };
  const mutation = $('.breed-mutation');
  const usual = {
    model: main,
    class: models[main].class,
    parents: 0,
    mutation: +mutation.value,
    seed: 0,
  };
  const address = link.view('breed', usual);

  // New buttons in the place of others: the keyboard stays where it was.
  /** @param {HTMLElement} root @param {HTMLElement[]} buttons */
  function replace(root, buttons) {
    const focused = [...root.children].findIndex(button => button.matches(':focus'));
    root.replaceChildren(...buttons);
    buttons[focused]?.focus({ preventScroll: true });
  }
  function showParents() {
    const buttons = couple.pictures.map((picture, i) => {
      const name = 'AB'[i];
      const properties = {
        'aria-label': t`Parent ${name}: the next chosen child takes its place`,
        'aria-pressed': state.next === i,
      };
      const choose = () => {
        state.next = i;
        showParents();
      };
      return makeButton(properties, choose, picture, make('span', { className: 'note' }, t`parent ${name}`));
    });
    replace($('.breed-parents'), buttons);
  }
  const askLitter = latest(server.litter, async answer => {
    const sheet = await loadImage(answer.sheet);
    const width = element.clientWidth < 700 ? 80 : 112;
    const picture = (/** @type {number} */ i, /** @type {number} */ width) =>
      pictureOf(sheet, i, page.litter_columns, answer.size, { width });
    const buttons = answer.latents.map((/** @type {number[]} */ latent, /** @type {number} */ i) => {
      const choose = () => {
        couple.parents[state.next] = latent;
        couple.pictures[state.next] = picture(i, 128);
        state.next = 1 - state.next;
        state.generation += 1;
        state.litter += 1;
        showParents();
        cross();
      };
      return makeButton({ 'aria-label': t`Child ${i + 1}: make it a parent` }, choose, picture(i, width));
    });
    replace($('.breed-children'), buttons);
    $('.breed-generation').textContent = state.generation
      ? t`Generation ${state.generation + 1}.`
      : t`Choose a child: it takes the place of the marked parent.`;
    showSources($('.breed-sources'), page.models[answer.model].sources);
    python.set('Children', answer.code);
  });
  function cross() {
    const asked = { model: state.model, class: state.class, mutation: +mutation.value };
    // A lineage is too long for an address: from the second generation on it leads to the parents that all began with.
    address.set({ ...asked, parents: state.seed, seed: state.generation ? undefined : state.litter });
    askLitter({ ...asked, parents: couple.parents, seed: state.litter });
  }
  const askFounders = latest(server.founders, async answer => {
    const sheet = await loadImage(answer.sheet);
    const pictures = [0, 1].map(i => pictureOf(sheet, i, 2, sheet.height, { width: 128 }));
    Object.assign(state, { next: 0, generation: 0 });
    Object.assign(couple, { parents: answer.latents, pictures });
    showParents();
    cross();
  });
  const found = () => askFounders({ model: state.model, class: state.class, seed: state.seed });
  const tellMutation = () => {
    $('.breed-m').textContent = decimal(+mutation.value, 2);
  };
  mutation.addEventListener('input', () => {
    tellMutation();
    cross();
  });
  $('.breed-again').addEventListener('click', () => {
    state.litter += 1;
    cross();
  });
  const menus = controls('breed-', state, found, { models, seedName: 'parents' });
  python.picture('Children', '.breed-children canvas', () => page.litter_columns);
  onFirstOpen('breed', () => {
    menus.restore(address);
    mutation.value = address.number('mutation', 0, 1) ?? mutation.value;
    tellMutation();
    state.litter = address.count('seed', page.max_seed) ?? 0;
    found();
  });
}
