const state = { seed: 0, count: 36, psi: 1, pair: [0, 1], next: 0 };
const sheet = $('.sheet'), image = $('img', sheet), cells = $('.cells'), seed = $('.seed'), psi = $('.psi'), large = $('.large');
const noun = page.frogs ? 'frog' : 'image', nouns = page.frogs ? 'frogs' : 'images';
$('.what').textContent = `A generative adversarial network has learned what ${page.frogs ? 'small photographs of frogs look like' : 'its training images look like'} by trying to fool a second network. Each picture starts from its own random numbers, its latent, and never existed before: press New as often as you like. Pick two ${nouns} and walk from one to the other.`;
$('.new').textContent = `New ${nouns}`;
psi.max = page.max_psi;
seed.max = page.max_seed;

const film = filmStrip({ strip: $('.strip'), slider: $('.t'), large, size: page.size });
const askBetween = latest(server.between, async (answer, job) => { await film.set(answer.film); python.set('From A to B', answer.code, job.extra); });
const askSheet = latest(server.sheet, showSheet);

async function showSheet(answer) {
  const loaded = await loadImage(answer.sheet);
  image.src = loaded.src;
  const columns = Math.round(Math.sqrt(answer.count));
  image.alt = `${answer.count} generated ${nouns} of seed ${answer.seed} in ${columns} columns`;
  state.natural = columns * page.size;
  if (cells.childElementCount !== answer.count) {
    cells.style.gridTemplate = `repeat(${columns}, 1fr) / repeat(${columns}, 1fr)`;
    cells.replaceChildren(...Array.from({ length: answer.count }, (_, i) => {
      const cell = document.createElement('button');
      cell.type = 'button';
      cell.addEventListener('click', () => pick(i));
      return cell;
    }));
  }
  state.pair = state.pair.map((v, i) => v < answer.count ? v : i);
  mark();
  fit();
  python.set('Sheet', answer.code);
}
function mark() {
  [...cells.children].forEach((cell, i) => {
    const end = ['A', 'B'].filter((_, j) => state.pair[j] === i).join('');
    if (end) cell.dataset.end = end; else delete cell.dataset.end;
    cell.setAttribute('aria-label', `${noun} ${i + 1}${end ? `, ${end}` : ''}`);
    cell.setAttribute('aria-pressed', String(Boolean(end)));
  });
}
function pick(i) {
  state.pair[state.next] = i;
  state.next = 1 - state.next;
  $('.hint').textContent = `Pick two: the next one becomes ${'AB'[state.next]}.`;
  mark();
  walk(true);
}
// `chosen`: whether the pair was touched, or only its seed and psi.
const walk = chosen => askBetween({ seed: state.seed, psi: state.psi, a: state.pair[0], b: state.pair[1] }, chosen);
function draw() {
  askSheet({ seed: state.seed, count: state.count, psi: state.psi });
  walk(false);
}
function fit() {
  if (!element.clientWidth || !state.natural) return;
  image.style.width = cells.style.width = `${wholeMultiple(state.natural, element.clientWidth, 580)}px`;
  large.style.width = `${wholeMultiple(page.size, 256, 256)}px`;
}

controls(state, draw);

begin(async first => {
  Object.assign(state, { seed: first.sheet.seed, count: first.sheet.count, psi: first.sheet.psi, pair: [first.between.a, first.between.b] });
  seed.value = state.seed;
  choices($('.count'), page.counts.map(n => [n, n]), state.count, n => { state.count = n; draw(); });
  await showSheet(first.sheet);
  await film.set(first.between.film);
  python.set('From A to B', first.between.code, false);
  onResize(element, fit);
});
