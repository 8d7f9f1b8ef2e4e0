import { measured, showSources } from '../common/about.js';
import { choices, make, makeButton, onResize } from '../common/dom.js';
import { filmStrip, fitWidth, loadImage, pictureOf } from '../common/pictures.js';
import { t } from '../common/text.js';
import { trainingFilm } from '../films/view.js';

/** @param {Tab} tab */
export default function samples(tab) {
  const { $, begin, controls, element, find, latest, link, page, python, server, views } = tab;
  const state = {
    model: page.main,
    seed: 0,
    count: 36,
    psi: 1,
    guidance: 1,
    class: '',
    pair: [0, 1],
    next: 0,
    size: 0,
    natural: 0,
  };
  const [sheet, cells, large] = find('.sheet', '.cells', '.between .large');
  const image = $('img', sheet);
  const address = link.view('one');
  const now = () => page.models[state.model];
  // What is asked for, of what the model knows.
  function drawn() {
    const { model, seed, psi, guidance } = state;
    const { classes, truncates, guided } = now();
    return {
      model,
      seed,
      ...(classes.length ? { class: state.class } : {}),
      ...(truncates ? { psi } : {}),
      ...(guided ? { guidance } : {}),
    };
  }

  // The words and controls that depend on the model.
  const showFilm = trainingFilm(tab);
  function describe() {
    const { classes, flow, figures, guided, truncates, film: reel, title, stages, steps, sources } = now();
    if (flow) {
      $('.what').textContent =
        t`A flow has learned the way from noise to images: at each point (1 − t) x + t ε of the straight line between
          an image x and noise ε it guesses the direction ε − x. Each picture starts as noise, its latent, and follows
          the guesses step by step: press New as often as you like. Pick two images and walk from the noise of one to
          that of the other.`;
    } else if (!truncates) {
      $('.what').textContent =
        t`A diffusion model has learned to take a little noise away from a noisy image: it guesses, from √ᾱ x + √(1 − ᾱ)
          ε, which part is the noise ε. Each picture starts as noise, its latent, and loses it step by step: press New
          as often as you like. Pick two images and walk from the noise of one to that of the other.`;
    } else if (classes.length) {
      $('.what').textContent =
        t`A generative adversarial network is told the class y of what to draw, and has learned what such pictures look
          like by trying to fool a second network: min over G, max over D of E[log D(x, y)] + E[log(1 − D(G(z, y), y))].
          Each picture starts from its own random numbers, its latent, and never existed before: press New as often as
          you like. Pick two images and walk from one to the other.`;
    } else {
      $('.what').textContent =
        t`A generative adversarial network has learned what its training images look like by trying to fool a second
          network: min over G, max over D of E[log D(x)] + E[log(1 − D(G(z)))]. Each picture starts from its own random
          numbers, its latent, and never existed before: press New as often as you like. Pick two images and walk from
          one to the other.`;
    }
    $('.new').textContent = t`New images`;
    $('.truncation').hidden = !truncates;
    $('.guiding').hidden = !guided;
    $('.figures-of').textContent = figures ? `${title}: ${measured(figures)}.` : '';
    showSources($('.sources'), sources);
    showFilm(reel);
    $('.stages').hidden = !stages;
    $('.of-levels').hidden = steps;
    $('.of-steps').hidden = !steps;
    $('.levels').replaceChildren();
    if (!stages) python.drop('Stages');
  }
  const film = filmStrip({ strip: $('.strip'), slider: $('.t'), large });
  const askBetween = latest(server.between, async (answer, job) => {
    await film.set(answer.film);
    python.set('From A to B', answer.code, job.extra);
  });
  const askSheet = latest(server.sheet, showSheet);

  // The levels of a LAPGAN, or steps of a diffusion model: one row each, all pictures of one size on the screen.
  const askStages = latest(server.stages, async answer => {
    if (answer.model !== state.model) return;
    const sheets = await Promise.all(answer.sheets.map(loadImage));
    const rows = sheets.map((loaded, level) => {
      const size = answer.sizes[level];
      const textContent = answer.steps ? t`step ${answer.steps[level]}` : `${size} × ${size}`;
      const pictures = Array.from({ length: page.staged }, (_, i) =>
        pictureOf(loaded, i, page.staged, size, { label: t`Image ${i + 1} at ${size} pixels` }),
      );
      return make('div', { className: 'level' }, make('span', { className: 'note', textContent }), ...pictures);
    });
    $('.levels').replaceChildren(...rows);
    python.set('Stages', answer.code, false);
  });
  const drawStages = () => {
    if (now().stages) askStages(drawn());
  };

  async function showSheet(/** @type {any} */ answer) {
    const loaded = await loadImage(answer.sheet);
    image.src = loaded.src;
    const columns = Math.round(Math.sqrt(answer.count));
    image.alt = t`${answer.count} generated images of seed ${answer.seed} in ${columns} columns`;
    Object.assign(state, { natural: columns * answer.size, size: answer.size });
    if (cells.childElementCount !== answer.count) {
      cells.style.gridTemplate = `repeat(${columns}, 1fr) / repeat(${columns}, 1fr)`;
      cells.replaceChildren(...Array.from({ length: answer.count }, (_, i) => makeButton({}, () => pick(i))));
    }
    mark();
    fit();
    python.set('Sheet', answer.code);
  }
  function mark() {
    [...cells.children].forEach((cell, i) => {
      const end = ['A', 'B'].filter((_, j) => state.pair[j] === i).join('');
      if (end) cell.dataset.end = end;
      else delete cell.dataset.end;
      cell.setAttribute('aria-label', `${t`image ${i + 1}`}${end ? `, ${end}` : ''}`);
      cell.setAttribute('aria-pressed', String(Boolean(end)));
    });
  }
  function pick(/** @type {number} */ i) {
    // The sheet on show may be larger than the one that is on its way.
    if (i >= state.count) return;
    state.pair[state.next] = i;
    state.next = 1 - state.next;
    $('.hint').textContent = t`Pick two: the next one becomes ${'AB'[state.next]}.`;
    mark();
    walk(true);
  }
  // Ends that are not on a smaller sheet become its first images, two different ones.
  function setCount(/** @type {number} */ count) {
    state.count = count;
    state.pair.forEach((v, i) => {
      if (v >= count) state.pair[i] = state.pair[1 - i] === i ? 1 - i : i;
    });
    draw();
  }
  /** @param {boolean} chosen whether the pair was touched, or only its seed and psi */
  function walk(chosen) {
    const [a, b] = state.pair;
    const unknown = { class: undefined, psi: undefined, guidance: undefined };
    address.set({ ...unknown, ...drawn(), count: state.count, a, b });
    askBetween({ ...drawn(), a, b }, chosen);
  }
  function draw() {
    askSheet({ ...drawn(), count: state.count });
    walk(false);
    drawStages();
  }
  function fit() {
    if (!element.clientWidth || !state.natural) return;
    for (const wide of [image, cells]) fitWidth(wide, state.natural, element.clientWidth, 580);
    fitWidth(large, state.size, 256);
  }

  python.picture('Sheet', '.sheet img');
  python.picture('From A to B', '.between .strip canvas');
  python.picture('Stages', '.levels canvas', () => page.staged);
  const menus = controls('', state, draw, { models: page.models, changed: describe });
  /** @type {(count: number) => void} */
  let pressCount;
  address.restore(() => {
    menus.restore(address);
    const count = address.count('count');
    const pair = ['a', 'b'].map(end => address.count(end) ?? state.count);
    if (count !== null && page.counts.includes(count)) {
      state.count = count;
      pressCount(count);
    }
    if (pair.every(i => i < state.count)) state.pair = pair;
    draw();
  });
  const alone = Object.keys(page.models).length === 1;
  const breeds = Object.values(page.models).some(model => model.breeds);
  $('.switch').hidden = alone && !breeds;
  views([
    ['one', t`one model`],
    ...(alone ? [] : [['all', t`all side by side`]]),
    ...(breeds
      ? [
          ['breed', t`breed`],
          ['directions', t`directions`],
          ['loop', t`loop`],
        ]
      : []),
  ]);
  describe();

  begin(async first => {
    const { seed, count } = first.sheet;
    Object.assign(state, { seed, count, pair: [first.between.a, first.between.b] });
    menus.write();
    const counts = page.counts.map((/** @type {number} */ n) => [n, n]);
    pressCount = choices($('.count'), counts, state.count, setCount);
    await showSheet(first.sheet);
    await film.set(first.between.film);
    python.set('From A to B', first.between.code, false);
    drawStages();
    onResize(element, fit);
  });
}
