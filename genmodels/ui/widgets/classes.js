const names = page.class_names;
const state = { seed: page.seed, psi: 1, label: page.pair[0], pair: [...page.pair] };
const seed = $('.seed'), psi = $('.psi'), text = $('.text'), number = $('.number'), row = $('.row'), samples = $('.samples'), large = $('.large');
psi.max = page.max_psi;
seed.max = page.max_seed;
seed.value = page.seed;
text.value = page.text;
const common = () => ({ seed: state.seed, psi: state.psi });

async function put(image, uri, alt, columns) {
  image.src = (await loadImage(uri)).src;
  image.alt = alt;
  image.dataset.columns = columns;
  fit();
}
function fit() {
  if (!element.clientWidth) return;
  for (const [image, most] of [[row, 900], [samples, 900], [number, 900]]) {
    const natural = image.dataset.columns * page.size;
    if (natural) image.style.width = `${wholeMultiple(natural, element.clientWidth, image === number ? Math.min(most, natural * 4) : most)}px`;
  }
  large.style.width = `${wholeMultiple(page.size, 196, 196)}px`;
}

const showRow = async a => { await put(row, a.row, `One latent as each of the classes ${names.slice(0, page.row).join(', ')}`, page.row); python.set('Every class', a.code, a.focus ?? true); };
const showSamples = async a => { await put(samples, a.samples, `${page.per_class} images of class ${names[state.label]}`, page.per_class); python.set('One class', a.code, a.focus ?? true); };
const film = filmStrip({ strip: $('.strip'), slider: $('.t'), large, size: page.size, onMove: share });
const showMix = async a => { await film.set(a.film); python.set('Mix', a.code, a.focus ?? true); };
const showNumber = async a => {
  problem('');
  await put(number, a.number, `The number ${text.value.trim()} in generated handwriting`, a.length);
  number.hidden = false;
  python.set('Number', a.code, a.focus ?? true);
};
function problem(message) {
  $('.problem').textContent = message;
  text.setAttribute('aria-invalid', String(Boolean(message)));
}
const askRow = latest(server.row, showRow), askSamples = latest(server.samples, showSamples), askMix = latest(server.mix, showMix);
const askNumber = latest(server.write, showNumber, problem);

function share(t) {
  const percent = Math.round(100 * t);
  $('.share').textContent = `${100 - percent}% ${names[state.pair[0]]}, ${percent}% ${names[state.pair[1]]}`;
}
function drawAll() {
  askRow(common());
  askSamples({ ...common(), label: state.label });
  askMix({ ...common(), a: state.pair[0], b: state.pair[1] });
  if (page.writes) askNumber({ ...common(), text: text.value });
}
function setPair() {
  $('.end.a').textContent = names[state.pair[0]];
  $('.end.b').textContent = names[state.pair[1]];
  share(+$('.t').value / +$('.t').max);
}

$('.new').addEventListener('click', () => {
  state.seed = Math.floor(Math.random() * 100000);
  seed.value = state.seed;
  drawAll();
});
seed.addEventListener('input', () => {
  if (!seed.checkValidity() || seed.value === '') return;
  state.seed = +seed.value;
  drawAll();
});
psi.addEventListener('input', () => {
  state.psi = +psi.value;
  $('.psi-value').textContent = state.psi.toFixed(2);
  drawAll();
});
text.addEventListener('input', () => askNumber({ ...common(), text: text.value }));

function choose(label) {
  state.label = +label;
  askSamples({ ...common(), label: state.label });
}
if (names.length <= 10) {
  const group = document.createElement('span');
  group.className = 'choices';
  group.setAttribute('role', 'group');
  group.setAttribute('aria-label', 'Class');
  $('.pick').append(group);
  choices(group, names.map((name, i) => [i, name]), state.label, choose);
} else {
  const label = document.createElement('label'), select = document.createElement('select');
  names.forEach((name, i) => select.append(new Option(name, i, false, i === state.label)));
  select.addEventListener('change', () => choose(select.value));
  label.append('Class', select);
  $('.pick').append(label);
}
[['.from', 0], ['.to', 1]].forEach(([selector, end]) => {
  const select = $(selector);
  names.forEach((name, i) => select.append(new Option(name, i, false, i === state.pair[end])));
  select.addEventListener('change', () => {
    state.pair[end] = +select.value;
    setPair();
    askMix({ ...common(), a: state.pair[0], b: state.pair[1] });
  });
});
setPair();
$('.names').style.gridTemplateColumns = `repeat(${page.row}, 1fr)`;
names.slice(0, page.row).forEach((name, i) => {
  const cell = document.createElement('span');
  cell.textContent = name;
  cell.style.borderColor = page.colours[i % page.colours.length];
  $('.names').append(cell);
});
$('.writer').hidden = !page.writes;

begin(async first => {
  if (first.number) await showNumber(first.number);
  await showRow({ ...first.row, focus: false });
  await showSamples({ ...first.samples, focus: false });
  await showMix({ ...first.mix, focus: false });
  onResize(element, fit);
});
