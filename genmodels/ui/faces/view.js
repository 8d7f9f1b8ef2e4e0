// Arithmetic with attributes: a face, drawn or the visitor's, and the strengths of what is added to it.
const SIZE = page.faces.size, view = $('.faces-view'), tiles = $('.face-tiles'), before = $('.face-before'), after = $('.face-after');
const face = { seed: page.faces.seed, index: 0, z: null, square: null, photo: false, strengths: {}, sheet: null, latents: null, asked: false };
const told = (text, bad = false) => {
  const place = $('.faces-notice');
  place.textContent = text;
  place.hidden = !text;
  place.classList.toggle('bad', bad);
};
const address = link.view('faces', { seed: page.faces.seed, face: 0, add: '', axes: '0,1', sum: '1,6,3' });
const failed = message => told(message, true);
const chosen = () => face.z ? { z: face.z, square: face.square } : { seed: face.seed, index: face.index };
const words = name => name.replaceAll('_', ' ');

const askEdit = latest(server.edit, answer => {
  if (!inPage.draw) paintRaw(after, answer.picture, SIZE, 3);
  python.set('Face', answer.code);
}, failed, told);
// A small decoder is fetched with the first move of a slider, and from then on every face is decoded here; the server is asked for the
// Python once the slider rests.
const inPage = { asked: false, draw: null, soon: 0 };
const askEditor = latest(server.editor, ({ layers, directions }) => {
  if (!layers || !MULTIPLY) return;
  const decode = decoderInPage(layers, SIZE, 3);
  inPage.draw = () => {
    const strengths = Object.values(face.strengths), from = face.z ?? face.latents[face.index];
    const z = from.map((v, i) => directions.reduce((sum, direction, a) => sum + strengths[a] * direction[i], v));
    paintBytes(after, decode(z), SIZE, 3);
  };
  inPage.draw();
}, () => {}, () => {});
function edit() {
  remember();
  const ask = () => askEdit({ ...chosen(), strengths: face.strengths });
  clearTimeout(inPage.soon);
  if (!inPage.draw) return ask();
  inPage.draw();
  inPage.soon = setTimeout(ask, 150);
}
// What stands in the address; a photo cannot.
function remember() {
  const strengths = Object.values(face.strengths);
  address.set({ seed: face.seed, face: face.z ? undefined : face.index, add: strengths.some(Boolean) ? strengths : '', axes: axes[0].value === axes[1].value ? undefined : axes.map(axis => axis.selectedIndex), sum: Object.values(sum) });
}

const cells = Array.from({ length: page.faces.count }, (_, i) => {
  const button = document.createElement('button'), canvas = document.createElement('canvas');
  button.type = 'button';
  button.setAttribute('aria-label', t`Face ${i + 1}`);
  button.append(canvas);
  button.addEventListener('click', () => choose(i));
  tiles.append(button);
  return canvas;
});
tiles.addEventListener('keydown', event => {
  const columns = getComputedStyle(tiles).gridTemplateColumns.split(' ').length;
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key], to = face.index + by;
  if (!by) return;
  event.preventDefault();
  if (!cells[to]) return;
  choose(to);
  cells[to].parentElement.focus();
});
function press(index) {
  cells.forEach((cell, i) => cell.parentElement.setAttribute('aria-pressed', i === index));
  $('.photo-stage').classList.toggle('now', index < 0);
}

function choose(index) {
  Object.assign(face, { index, z: null, photo: false });
  press(index);
  paintFrame(before, face.sheet, index, cells.length, SIZE);
  edit();
  drawGrid();
}

function setStrength(name, value) {
  const slider = $(`.face-sliders [data-name="${CSS.escape(name)}"]`), text = signed(value);
  face.strengths[name] = slider.value = value;
  slider.parentElement.querySelector('output').textContent = text;
  slider.setAttribute('aria-valuetext', text);
}
function sliders(names) {
  $('.face-sliders').replaceChildren(...names.map(name => {
    const label = document.createElement('label'), slider = document.createElement('input'), text = document.createElement('span');
    text.textContent = words(name);
    Object.assign(slider, { type: 'range', min: -page.faces.limit, max: page.faces.limit, step: 0.1 });
    slider.dataset.name = name;
    slider.addEventListener('input', () => {
      if (!inPage.asked) askEditor({});
      inPage.asked = true;
      setStrength(name, +slider.value);
      edit();
    });
    label.append(text, slider, document.createElement('output'));
    return label;
  }));
  names.forEach(name => setStrength(name, 0));
}
$('.face-reset').addEventListener('click', () => {
  Object.keys(face.strengths).forEach(name => setStrength(name, 0));
  edit();
});

// Two attributes on two axes. The rows go from the largest strength down.
const STEPS = page.faces.steps, axes = [$('.factor-a'), $('.factor-b')];
const strengthAt = i => page.faces.limit * (2 * i / (STEPS - 1) - 1);
const spots = Array.from({ length: STEPS * STEPS }, (_, i) => {
  const button = document.createElement('button'), canvas = document.createElement('canvas');
  button.type = 'button';
  button.classList.toggle('middle', i === (STEPS * STEPS - 1) / 2);
  button.append(canvas);
  button.addEventListener('click', () => {
    const [a, b] = axes.map(axis => axis.value);
    Object.keys(face.strengths).forEach(name => setStrength(name, 0));
    setStrength(a, strengthAt(i % STEPS));
    setStrength(b, strengthAt(STEPS - 1 - Math.floor(i / STEPS)));
    edit();
  });
  $('.factor-grid').append(button);
  return canvas;
});
const askGrid = latest(server.factors, async (answer, job) => {
  const { a, b } = job.payload, sheet = await loadImage(answer.grid);
  spots.forEach((spot, i) => {
    paintFrame(spot, sheet, i, spots.length, SIZE);
    const [x, y] = [strengthAt(i % STEPS), strengthAt(STEPS - 1 - Math.floor(i / STEPS))].map(v => signed(v));
    spot.parentElement.setAttribute('aria-label', `${words(a)} ${x}, ${words(b)} ${y}`);
  });
  const ends = [-page.faces.limit, page.faces.limit].map(v => (v < 0 ? '−' : '+') + significant(Math.abs(v), 2));
  $('.factor-right').textContent = `${ends[0]}  ←  ${words(a)}  →  ${ends[1]}`;
  $('.factor-up').textContent = `${ends[0]}  ←  ${words(b)}  →  ${ends[1]}`;
  python.set('Grid', answer.code, job.extra);
  $('.factor-grid').dataset.axes = `${a} ${b}`;
}, failed, told);
function drawGrid(focus = false) {
  remember();
  if (axes[0].value !== axes[1].value) askGrid({ ...chosen(), a: axes[0].value, b: axes[1].value }, focus);
}
function factors(names) {
  $('.faces-factors').hidden = names.length < 2;
  const asked = address.numbers('axes', 2) ?? [], known = asked[0] !== asked[1] && asked.every(i => Number.isInteger(i) && names[i]);
  axes.forEach((axis, which) => {
    axis.replaceChildren(...names.map(name => new Option(words(name), name)));
    axis.selectedIndex = known ? asked[which] : Math.min(which, names.length - 1);
    let last = axis.selectedIndex;
    axis.addEventListener('change', () => {
      // The other axis takes what this one leaves.
      if (axis.value === axes[1 - which].value) {
        axes[1 - which].selectedIndex = last;
        axes[1 - which].dispatchEvent(new Event('taken'));
      }
      last = axis.selectedIndex;
      drawGrid(true);
    });
    axis.addEventListener('taken', () => { last = axis.selectedIndex; });
  });
}

// The photo: it stays in the page; only the aligned square, as small as the model's images, is sent.
const stage = $('.photo-stage'), zoom = $('.photo-zoom'), small = document.createElement('canvas');
const photo = { image: null, x: 0, y: 0, from: null };
small.width = small.height = SIZE;
const sideOf = () => Math.max(1, Math.min(photo.image.width, photo.image.height) / +zoom.value);
const askPhoto = latest(server.photo, (answer, job) => {
  if (!face.photo) return;
  Object.assign(face, { z: answer.z, square: job.payload.square });
  press(-1);
  for (const canvas of [$('.photo-back'), before]) paintRaw(canvas, answer.picture, SIZE, 3);
  $('.photo-says').textContent = t`The encoder squeezed ${(3 * SIZE * SIZE).toLocaleString(LANGUAGE)} values into ${answer.z.length} numbers. What this bottleneck loses is lost, before anything is added or taken away.`;
  edit();
  if (job.extra) drawGrid();
}, failed, told);
function sendPhoto(settled) {
  const side = sideOf();
  photo.x = clamp(photo.x, side / 2, photo.image.width - side / 2);
  photo.y = clamp(photo.y, side / 2, photo.image.height - side / 2);
  const square = [photo.x - side / 2, photo.y - side / 2, side].map(Math.floor);
  for (const canvas of [stage, small]) {
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.imageSmoothingQuality = 'high';
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(photo.image, square[0], square[1], square[2], square[2], 0, 0, canvas.width, canvas.height);
  }
  const { data } = small.getContext('2d').getImageData(0, 0, SIZE, SIZE);
  let bytes = '';
  for (let i = 0; i < data.length; i++) if (i % 4 < 3) bytes += String.fromCharCode(data[i]);
  face.photo = true;
  askPhoto({ photo: btoa(bytes), square }, settled);
}
$('.photo-file').addEventListener('change', async event => {
  const file = event.target.files[0];
  if (!file) return;
  const address = URL.createObjectURL(file);
  try {
    photo.image = await loadImage(address);
    // A drawing in vectors may have no size.
    if (!photo.image.width || !photo.image.height) throw new Error('no pixels');
  } catch (error) {
    $('.photo-says').textContent = t`That file is no picture that this browser can show.`;
    return;
  } finally {
    URL.revokeObjectURL(address);
  }
  Object.assign(photo, { x: photo.image.width / 2, y: photo.image.height / 2 });
  zoom.value = 1;
  $('.photo-body').hidden = false;
  sendPhoto(true);
});
zoom.addEventListener('input', () => sendPhoto(false));
zoom.addEventListener('change', () => sendPhoto(true));
stage.addEventListener('pointerdown', event => {
  stage.setPointerCapture(event.pointerId);
  photo.from = [event.clientX, event.clientY];
});
stage.addEventListener('pointermove', event => {
  if (!photo.from) return;
  const unit = sideOf() / stage.clientWidth;
  photo.x -= (event.clientX - photo.from[0]) * unit;
  photo.y -= (event.clientY - photo.from[1]) * unit;
  photo.from = [event.clientX, event.clientY];
  sendPhoto(false);
});
for (const end of ['pointerup', 'pointercancel']) stage.addEventListener(end, () => { photo.from = null; sendPhoto(true); });
stage.addEventListener('keydown', event => {
  const by = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!by) return;
  photo.x += by[0] * sideOf() / 50;
  photo.y += by[1] * sideOf() / 50;
  sendPhoto(true);
  event.preventDefault();
});
$('.photo-says').textContent = t`It is cut to a square and made small in this page; only those ${SIZE} × ${SIZE} pixels go to the server, which stores nothing.`;

// A - B + C, each chosen from the faces of the seed.
const sum = { a: 1, b: 6, c: 3 }, SIGNS = { a: 'A', b: '− B', c: '+ C' };
const askSum = latest(server.arithmetic, (answer, job) => {
  paintRaw($('.face-sum'), answer.picture, SIZE, 3);
  python.set('Arithmetic', answer.code, job.extra);
}, failed, told);
function addUp(focus) {
  remember();
  askSum({ seed: face.seed, ...sum }, focus);
}
const terms = Object.keys(SIGNS).map(term => {
  const row = document.createElement('div'), sign = document.createElement('span');
  sign.textContent = SIGNS[term];
  row.setAttribute('role', 'group');
  row.setAttribute('aria-label', t`Face ${term.toUpperCase()}`);
  row.append(sign, ...cells.map((_, i) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-label', t`${SIGNS[term]}: face ${i + 1}`);
    button.append(document.createElement('canvas'));
    button.addEventListener('click', () => { sum[term] = i; pressTerms(); addUp(true); });
    return button;
  }));
  $('.sum-rows').append(row);
  return { term, row };
});
const pressTerms = () => terms.forEach(({ term, row }) => row.querySelectorAll('button').forEach((button, i) => button.setAttribute('aria-pressed', String(sum[term] === i))));
function showTerms() {
  terms.forEach(({ row }) => row.querySelectorAll('canvas').forEach((canvas, i) => paintFrame(canvas, face.sheet, i, cells.length, SIZE)));
  pressTerms();
  addUp(false);
}

const askFaces = latest(server.faces, async answer => {
  face.sheet = await loadImage(answer.sheet);
  face.latents = answer.latents;
  cells.forEach((cell, i) => paintFrame(cell, face.sheet, i, cells.length, SIZE));
  if (!$('.face-sliders').childElementCount) {
    sliders(answer.names);
    factors(answer.names);
    address.numbers('add')?.slice(0, answer.names.length).forEach((v, i) => setStrength(answer.names[i], Math.round(10 * clamp(v, -page.faces.limit, page.faces.limit)) / 10));
    $('.held-fixed').hidden = !answer.held_fixed;
    $('.faces-bench').hidden = false;
  }
  choose(face.index);
  showTerms();
  view.dataset.seed = answer.seed;
}, failed, told);
const drawFaces = () => askFaces({ seed: face.seed });
$('.seed', view).value = face.seed;
const restoreControls = controls(face, drawFaces);
$('.faces-bench').hidden = true;
onResize(view, () => {
  const room = $('.face-pair').clientWidth;
  if (room) for (const canvas of [before, after, $('.face-sum')]) canvas.style.width = `${wholeMultiple(SIZE, room / 2 - 8, element.clientWidth < 700 ? 170 : 256)}px`;
});
python.picture('Arithmetic', '.face-sum');
python.picture('Face', '.face-after');
python.picture('Grid', '.factor-grid canvas', () => STEPS);
showSources(page.faces.sources, $('.faces-sources'));
opened.faces = () => {
  if (face.asked) return;
  face.asked = true;
  restoreControls(address);
  face.index = address.count('face', cells.length - 1) ?? face.index;
  const asked = address.numbers('sum', 3);
  if (asked?.every(i => cells[i])) Object.assign(sum, { a: asked[0], b: asked[1], c: asked[2] });
  drawFaces();
};
