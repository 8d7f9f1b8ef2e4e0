// Sliders along the principal directions of a generator: images before and after.
const movable = Object.entries(page.models).filter(([, { breeds }]) => breeds), menu = $('.directions-model'), pairs = $('.directions-pairs');
const address = link.view('directions'), moving = { seed: 0, strengths: [], asked: false, size: 0, sheets: null };
for (const [name, { title }] of movable) menu.append(new Option(title, name, false, name === page.main));
$('.directions-chooser').hidden = movable.length < 2;

function tell(text, bad = false) {
  const place = $('.directions-notice');
  place.textContent = text;
  place.hidden = !text;
  place.classList.toggle('bad', bad);
}
function showSliders(explained) {
  $('.directions-sliders').replaceChildren(...explained.map((share, k) => {
    const label = document.createElement('label'), name = document.createElement('span'), slider = document.createElement('input'), output = document.createElement('output');
    name.textContent = t`${k + 1}: ${decimal(100 * share, share < 0.1 ? 1 : 0)}% of variance`;
    Object.assign(slider, { type: 'range', min: -page.moves.limit, max: page.moves.limit, step: 0.25, value: moving.strengths[k] ?? 0 });
    slider.setAttribute('aria-label', t`Direction ${k + 1}`);
    output.className = 'figures';
    const write = () => { output.textContent = signed(+slider.value); };
    slider.addEventListener('input', () => { moving.strengths[k] = +slider.value; write(); move(); });
    write();
    label.append(name, slider, output);
    return label;
  }));
}
// Two rows on wide screens; on narrow ones four before, four after, and again.
function paintPairs() {
  if (!moving.sheets || !element.clientWidth) return;
  const columns = element.clientWidth < 900 ? 4 : page.moves.images, gap = 6;
  const width = wholeMultiple(moving.size, (Math.min(pairs.parentElement.clientWidth, 640) - gap * (columns - 1)) / columns, 96);
  const cell = (sheet, i) => {
    const canvas = document.createElement('canvas');
    paintFrame(canvas, sheet, i, page.moves.images, moving.size);
    canvas.style.width = `${width}px`;
    return canvas;
  };
  const caption = text => Object.assign(document.createElement('span'), { className: 'note', textContent: text });
  const rows = [];
  for (let start = 0; start < page.moves.images; start += columns) {
    const numbers = Array.from({ length: columns }, (_, i) => start + i);
    rows.push(caption('z'), ...numbers.map(i => cell(moving.sheets[0], i)), caption('z′'), ...numbers.map(i => cell(moving.sheets[1], i)));
  }
  pairs.replaceChildren(...rows);
}
const askMoved = latest(server.moved, async (answer, job) => {
  if (answer.model !== menu.value) return;
  Object.assign(moving, { size: answer.size, sheets: await Promise.all([answer.before, answer.after].map(loadImage)) });
  if (job.extra) { moving.strengths = answer.strengths; showSliders(answer.explained); }
  paintPairs();
  pairs.setAttribute('aria-label', t`${page.moves.images} images before, and moved by ${answer.strengths.map(v => signed(v)).join('; ')} along the directions`);
  showSources(page.models[answer.model].sources, $('.directions-sources'));
  python.set('Directions', answer.code);
}, message => tell(message, true), tell);
// `anew`: the sliders too.
function move(anew = false) {
  address.set({ model: menu.value, seed: moving.seed, move: moving.strengths });
  askMoved({ model: menu.value, seed: moving.seed, strengths: moving.strengths }, anew);
}
$('.directions-new').addEventListener('click', () => { moving.seed = Math.floor(Math.random() * 100000); move(); });
$('.directions-reset').addEventListener('click', () => { moving.strengths = []; move(true); });
menu.addEventListener('change', () => { moving.strengths = []; tell(t`Drawing 2,000 images to find its directions.`); move(true); });
onResize(element, paintPairs);
python.picture('Directions', '.directions-pairs canvas', () => element.clientWidth < 900 ? 4 : page.moves.images);
opened.directions = () => {
  if (moving.asked) return;
  moving.asked = true;
  moving.strengths = address.numbers('move') ?? [];
  if (movable.some(([name]) => name === address.get('model'))) menu.value = address.get('model');
  moving.seed = address.count('seed', page.max_seed) ?? 0;
  tell(t`Drawing 2,000 images to find its directions.`);
  move(true);
};
