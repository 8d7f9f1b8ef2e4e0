const state = { model: page.main, seed: 0, count: 36, psi: 1, pair: [0, 1], next: 0 };
const sheet = $('.sheet'), image = $('img', sheet), cells = $('.cells'), seed = $('.seed'), psi = $('.psi'), large = $('.large'), model = $('.model');
const address = link.view('one'), now = () => page.models[state.model];
psi.max = page.max_psi;
seed.max = page.max_seed;

// The words and controls that depend on the model.
function describe() {
  const { frogs, figures, truncates, film: reel, title } = now();
  $('.what').textContent = !truncates
    ? t`A diffusion model has learned to take a little noise away from a noisy image: it guesses, from √ᾱ x + √(1 − ᾱ) ε, which part is the noise ε. Each picture starts as noise, its latent, and loses it in 25 steps: press New as often as you like. Pick two images and walk from the noise of one to that of the other.`
    : frogs
      ? t`A generative adversarial network has learned what small photographs of frogs look like by trying to fool a second network: min over G, max over D of E[log D(x)] + E[log(1 − D(G(z)))]. Each picture starts from its own random numbers, its latent, and never existed before: press New as often as you like. Pick two frogs and walk from one to the other.`
      : t`A generative adversarial network has learned what its training images look like by trying to fool a second network: min over G, max over D of E[log D(x)] + E[log(1 − D(G(z)))]. Each picture starts from its own random numbers, its latent, and never existed before: press New as often as you like. Pick two images and walk from one to the other.`;
  $('.new').textContent = frogs ? t`New frogs` : t`New images`;
  $('.truncation').hidden = !truncates;
  $('.figures-of').textContent = figures ? `${title}: ${measured(figures)}.` : '';
  showSources(now().sources);
  showFilm(reel);
  $('.stages').hidden = !now().stages;
  if (!now().stages) python.drop('Coarse to fine');
}
const showFilm = trainingFilm();
const film = filmStrip({ strip: $('.strip'), slider: $('.t'), large });
const askBetween = latest(server.between, async (answer, job) => { await film.set(answer.film); python.set('From A to B', answer.code, job.extra); });
const askSheet = latest(server.sheet, showSheet);

// The levels of a LAPGAN: one row each, all pictures of one size on the screen.
const askStages = latest(server.stages, async answer => {
  if (answer.model !== state.model) return;
  const sheets = await Promise.all(answer.sheets.map(loadImage));
  $('.levels').replaceChildren(...sheets.map((loaded, level) => {
    const row = document.createElement('div'), label = document.createElement('span'), size = answer.sizes[level];
    row.className = 'level';
    label.className = 'note';
    label.textContent = `${size} × ${size}`;
    row.append(label, ...Array.from({ length: page.staged }, (_, i) => {
      const canvas = document.createElement('canvas');
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', t`Image ${i + 1} at ${size} pixels`);
      paintFrame(canvas, loaded, i, page.staged, size);
      return canvas;
    }));
    return row;
  }));
  python.set('Coarse to fine', answer.code, false);
});

async function showSheet(answer) {
  const loaded = await loadImage(answer.sheet);
  image.src = loaded.src;
  const columns = Math.round(Math.sqrt(answer.count));
  image.alt = t`${answer.count} generated images of seed ${answer.seed} in ${columns} columns`;
  Object.assign(state, { natural: columns * answer.size, size: answer.size });
  if (cells.childElementCount !== answer.count) {
    cells.style.gridTemplate = `repeat(${columns}, 1fr) / repeat(${columns}, 1fr)`;
    cells.replaceChildren(...Array.from({ length: answer.count }, (_, i) => {
      const cell = document.createElement('button');
      cell.type = 'button';
      cell.addEventListener('click', () => pick(i));
      return cell;
    }));
  }
  mark();
  fit();
  python.set('Sheet', answer.code);
}
function mark() {
  [...cells.children].forEach((cell, i) => {
    const end = ['A', 'B'].filter((_, j) => state.pair[j] === i).join('');
    if (end) cell.dataset.end = end; else delete cell.dataset.end;
    cell.setAttribute('aria-label', `${t`image ${i + 1}`}${end ? `, ${end}` : ''}`);
    cell.setAttribute('aria-pressed', String(Boolean(end)));
  });
}
function pick(i) {
  // The sheet on show may be larger than the one that is on its way.
  if (i >= state.count) return;
  state.pair[state.next] = i;
  state.next = 1 - state.next;
  $('.hint').textContent = t`Pick two: the next one becomes ${'AB'[state.next]}.`;
  mark();
  walk(true);
}
// Ends that are not on a smaller sheet become its first images, two different ones.
function setCount(count) {
  state.count = count;
  state.pair.forEach((v, i) => { if (v >= count) state.pair[i] = state.pair[1 - i] === i ? 1 - i : i; });
  draw();
}
// `chosen`: whether the pair was touched, or only its seed and psi.
const walk = chosen => {
  address.set({ model: state.model, seed: state.seed, count: state.count, ...(now().truncates ? { psi: state.psi } : {}), a: state.pair[0], b: state.pair[1] });
  askBetween({ model: state.model, seed: state.seed, psi: state.psi, a: state.pair[0], b: state.pair[1] }, chosen);
};
function draw() {
  askSheet({ model: state.model, seed: state.seed, count: state.count, psi: state.psi });
  walk(false);
  if (now().stages) askStages({ model: state.model, seed: state.seed, psi: state.psi });
}
function fit() {
  if (!element.clientWidth || !state.natural) return;
  image.style.width = cells.style.width = `${wholeMultiple(state.natural, element.clientWidth, 580)}px`;
  large.style.width = `${wholeMultiple(state.size, 256, 256)}px`;
}

python.picture('Sheet', '.sheet img');
python.picture('From A to B', '.between .strip canvas');
python.picture('Coarse to fine', '.levels canvas', () => page.staged);
const restoreControls = controls(state, draw);
address.restore(() => {
  const wanted = address.get('model'), count = address.count('count'), pair = ['a', 'b'].map(end => address.count(end));
  if (Object.hasOwn(page.models, wanted ?? '')) { state.model = model.value = wanted; describe(); }
  if (page.counts.includes(count)) { state.count = count; pressCount(count); }
  if (pair.every(i => i !== null && i < state.count)) state.pair = pair;
  restoreControls(address);
  draw();
});
let pressCount;
Object.entries(page.models).forEach(([name, { title }]) => model.append(new Option(title, name, false, name === state.model)));
model.addEventListener('change', () => {
  state.model = model.value;
  describe();
  draw();
});
const alone = model.options.length === 1;
$('.chooser').hidden = alone;
const breeds = Object.values(page.models).some(({ breeds }) => breeds);
$('.switch').hidden = alone && !breeds;
views([['one', t`one model`], ...(alone ? [] : [['all', t`all side by side`]]), ...(breeds ? [['breed', t`breed`], ['directions', t`directions`], ['loop', t`loop`]] : [])]);
describe();

begin(async first => {
  Object.assign(state, { seed: first.sheet.seed, count: first.sheet.count, psi: first.sheet.psi, pair: [first.between.a, first.between.b] });
  seed.value = state.seed;
  pressCount = choices($('.count'), page.counts.map(n => [n, n]), state.count, setCount);
  await showSheet(first.sheet);
  await film.set(first.between.film);
  python.set('From A to B', first.between.code, false);
  if (now().stages) askStages({ model: state.model, seed: state.seed, psi: state.psi });
  onResize(element, fit);
});
