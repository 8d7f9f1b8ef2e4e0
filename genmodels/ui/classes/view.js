const state = { model: page.main, seed: page.seed, psi: 1, label: 0, pair: [0, 0] };
const now = () => page.models[state.model], names = () => now().class_names;
const seed = $('.seed'), psi = $('.psi'), text = $('.text'), number = $('.number'), row = $('.row'), samples = $('.samples'), large = $('.large'), model = $('.model');
psi.max = page.max_psi;
seed.max = page.max_seed;
seed.value = page.seed;
text.value = page.text;
const remember = () => link.set({ model: state.model, seed: state.seed, psi: state.psi, ...(now().writes ? { labels: text.value } : {}), class: names()[state.label], from: names()[state.pair[0]], to: names()[state.pair[1]] });
const common = () => ({ model: state.model, seed: state.seed, psi: state.psi });
// What another model drew, asked for before this one was chosen, is not shown.
const current = show => async (answer, job) => { if (answer.model === state.model) await show(answer, job); };
const first = () => names().slice(0, now().row);

// Cuts a strip into tiles, which wrap where the screen is narrow; `captions` go below them in their class's colour, and `scores`.
async function tile(root, uri, count, label, captions, scores) {
  const strip = await loadImage(uri);
  if (root.childElementCount !== count) {
    root.replaceChildren(...Array.from({ length: count }, (_, i) => {
      const figure = document.createElement('figure');
      figure.append(document.createElement('canvas'));
      const caption = document.createElement('figcaption'), text = document.createElement('span'), score = document.createElement('span');
      text.textContent = captions?.[i] ?? '';
      score.className = 'figures';
      if (captions) caption.style.borderColor = page.colours[i % page.colours.length];
      else caption.className = 'plain-caption';
      caption.append(text, score);
      figure.append(caption);
      return figure;
    }));
  }
  root.querySelectorAll('.figures').forEach((score, i) => { score.textContent = scores ? signed(scores[i]) : ''; });
  root.querySelectorAll('canvas').forEach((canvas, i) => paintFrame(canvas, strip, i, count, now().size));
  root.setAttribute('aria-label', label);
  fit();
}
function fit() {
  if (!element.clientWidth) return;
  const { size, row: classes } = now(), natural = number.dataset.columns * size;
  if (natural) number.style.width = `${wholeMultiple(natural, element.clientWidth, Math.max(natural, size * 5 * number.dataset.columns))}px`;
  const narrow = element.clientWidth < 640, columns = narrow ? 5 : 10;
  const width = wholeMultiple(size, (element.clientWidth - 6 * (columns - 1)) / columns, 96);
  element.querySelectorAll('.tiles figure').forEach(figure => { figure.style.width = `${width}px`; });
  element.querySelectorAll('.tiles canvas').forEach(canvas => { canvas.style.width = `${width}px`; });
  table.style.width = tableHead.style.width = `${wholeMultiple(size * classes, element.clientWidth, size * classes * 2)}px`;
  large.style.width = `${wholeMultiple(size, 196, 196)}px`;
}

const KEEP = 'keep the snippet';
const showRow = current(async (a, job) => { await tile(row, a.row, now().row, t`One latent as each of the classes ${first().join(', ')}`, names(), a.scores); $('.scored').hidden = !a.scores; python.set('Every class', a.code, job.extra !== KEEP); });
const showSamples = current(async (a, job) => { await tile(samples, a.samples, page.per_class, t`${page.per_class} images of class ${names()[state.label]}`, null, a.scores); python.set('One class', a.code, job.extra !== KEEP); });
const table = $('.table'), tableHead = $('.table-head');
const showTable = current(async (a, job) => {
  table.src = (await loadImage(a.table)).src;
  table.alt = t`${page.styles} latents in rows, the classes ${first().join(', ')} in columns`;
  fit();
  python.set('Table', a.code, job.extra !== KEEP);
});
const film = filmStrip({ strip: $('.strip'), slider: $('.t'), large, onMove: share });
const showMix = current(async (a, job) => { await film.set(a.film); python.set('Mix', a.code, job.extra !== KEEP); });
const showNumber = current(async (a, job) => {
  problem('');
  number.src = (await loadImage(a.number)).src;
  number.alt = t`The number ${text.value.trim()} in generated handwriting`;
  number.dataset.columns = a.length;
  fit();
  number.hidden = false;
  python.set('Number', a.code, job.extra !== KEEP);
});
function problem(message) {
  $('.problem').textContent = t([message]);
  text.setAttribute('aria-invalid', String(Boolean(message)));
}
const askTable = latest(server.table, showTable), askRow = latest(server.row, showRow), askSamples = latest(server.samples, showSamples), askMix = latest(server.mix, showMix);
const askNumber = latest(server.write, showNumber, problem);

function share(t) {
  const percent = Math.round(100 * t);
  $('.share').textContent = `${100 - percent}% ${names()[state.pair[0]]}, ${percent}% ${names()[state.pair[1]]}`;
}
// Everything anew; the snippet on show stays the one of the picture that was touched last.
function drawAll() {
  remember();
  askRow(common(), KEEP);
  askTable(common(), KEEP);
  askSamples({ ...common(), label: state.label }, KEEP);
  askMix({ ...common(), a: state.pair[0], b: state.pair[1] }, KEEP);
  if (now().writes) askNumber({ ...common(), text: text.value }, KEEP);
}
function setPair() {
  $('.end.a').textContent = names()[state.pair[0]];
  $('.end.b').textContent = names()[state.pair[1]];
  ['.from', '.to'].forEach((selector, end) => { $(selector).value = state.pair[end]; });
  share(+$('.t').value / +$('.t').max);
}

// The words and controls that depend on the model.
const showFilm = trainingFilm();
let pressClass;
function describe() {
  const { pair, writes, film: reel, sources } = now();
  Object.assign(state, { label: pair[0], pair: [...pair] });
  [row, samples].forEach(root => root.replaceChildren());
  tableHead.replaceChildren(...first().map((name, i) => {
    const cell = document.createElement('span'), text = document.createElement('b');
    text.textContent = name;
    cell.style.borderColor = page.colours[i % page.colours.length];
    cell.append(text);
    return cell;
  }));
  pressClass = classPicker();
  for (const selector of ['.from', '.to']) $(selector).replaceChildren(...names().map((name, i) => new Option(name, i)));
  setPair();
  $('.writer').hidden = !writes;
  if (!writes) python.drop('Number');
  showSources(sources);
  showFilm(reel);
}
// Buttons for a few classes, a list for many; returns what presses one.
function classPicker() {
  if (names().length <= 10) {
    const group = document.createElement('span');
    group.className = 'choices';
    group.setAttribute('role', 'group');
    group.setAttribute('aria-label', t`Class`);
    $('.pick').replaceChildren(group);
    return choices(group, names().map((name, i) => [i, name]), state.label, choose);
  }
  const label = document.createElement('label'), select = document.createElement('select');
  names().forEach((name, i) => select.append(new Option(name, i, false, i === state.label)));
  select.addEventListener('change', () => choose(select.value));
  label.append(t`Class`, select);
  $('.pick').replaceChildren(label);
  return value => { select.value = value; };
}
function choose(label) {
  state.label = +label;
  remember();
  askSamples({ ...common(), label: state.label });
}

python.picture('Number', '.number');
python.picture('Every class', '.row canvas');
python.picture('One class', '.samples canvas');
python.picture('Table', '.table');
python.picture('Mix', '.mixer .strip canvas');
const restoreControls = controls(state, drawAll);
link.restore(() => {
  if (Object.hasOwn(page.models, link.get('model') ?? '')) { state.model = model.value = link.get('model'); describe(); }
  const [label, from, to] = ['class', 'from', 'to'].map(name => names().indexOf(link.get(name)));
  if (now().writes && link.get('labels') !== null) text.value = link.get('labels').slice(0, text.maxLength > 0 ? text.maxLength : 32);
  if (label >= 0) { state.label = label; pressClass(label); }
  if (from >= 0 && to >= 0) { state.pair = [from, to]; setPair(); }
  restoreControls(link);
  drawAll();
});
text.addEventListener('input', () => { remember(); askNumber({ ...common(), text: text.value }); });
Object.entries(page.models).forEach(([name, { title }]) => model.append(new Option(title, name, false, name === state.model)));
model.addEventListener('change', () => {
  state.model = model.value;
  describe();
  drawAll();
});
$('.chooser').hidden = model.options.length === 1;
[['.from', 0], ['.to', 1]].forEach(([selector, end]) => {
  $(selector).addEventListener('change', () => {
    state.pair[end] = +$(selector).value;
    setPair();
    remember();
    askMix({ ...common(), a: state.pair[0], b: state.pair[1] });
  });
});
describe();

begin(async prepared => {
  if (prepared.number) await showNumber(prepared.number, { extra: KEEP });
  await showRow(prepared.row, { extra: KEEP });
  await showSamples(prepared.samples, { extra: KEEP });
  await showTable(prepared.table, { extra: KEEP });
  await showMix(prepared.mix, { extra: KEEP });
  onResize(element, fit);
});
