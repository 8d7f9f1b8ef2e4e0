// Arithmetic with attributes: a face, drawn or the visitor's, and the strengths of what is added to it.
const SIZE = page.faces.size, view = $('.faces-view'), tiles = $('.face-tiles'), before = $('.face-before'), after = $('.face-after');
const face = { seed: page.faces.seed, index: 0, z: null, strengths: {}, sheet: null, asked: false };
const told = (text, bad = false) => {
  const place = $('.faces-notice');
  place.textContent = text;
  place.hidden = !text;
  place.classList.toggle('bad', bad);
};
const failed = message => told(message, true);
const chosen = () => face.z ? { z: face.z } : { seed: face.seed, index: face.index };
const words = name => name.replaceAll('_', ' ');

const askEdit = latest(server.edit, answer => {
  paintRaw(after, answer.picture, SIZE, 3);
  python.set('Face', answer.code);
}, failed, told);
const edit = () => askEdit({ ...chosen(), strengths: face.strengths });

const cells = Array.from({ length: page.faces.count }, (_, i) => {
  const button = document.createElement('button'), canvas = document.createElement('canvas');
  button.type = 'button';
  button.setAttribute('aria-label', `Face ${i + 1}`);
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
const press = index => cells.forEach((cell, i) => cell.parentElement.setAttribute('aria-pressed', i === index));

function choose(index) {
  Object.assign(face, { index, z: null });
  press(index);
  paintFrame(before, face.sheet, index, cells.length, SIZE);
  edit();
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
    slider.addEventListener('input', () => { setStrength(name, +slider.value); edit(); });
    label.append(text, slider, document.createElement('output'));
    return label;
  }));
  names.forEach(name => setStrength(name, 0));
}
$('.face-reset').addEventListener('click', () => {
  Object.keys(face.strengths).forEach(name => setStrength(name, 0));
  edit();
});

const askFaces = latest(server.faces, async answer => {
  face.sheet = await loadImage(answer.sheet);
  cells.forEach((cell, i) => paintFrame(cell, face.sheet, i, cells.length, SIZE));
  if (!$('.face-sliders').childElementCount) {
    sliders(answer.names);
    $('.held-fixed').hidden = !answer.held_fixed;
    $('.faces-bench').hidden = false;
  }
  choose(face.index);
  view.dataset.seed = answer.seed;
}, failed, told);
const drawFaces = () => askFaces({ seed: face.seed });
$('.seed', view).value = face.seed;
controls(face, drawFaces);
$('.faces-bench').hidden = true;
opened.faces = () => {
  if (!face.asked) drawFaces();
  face.asked = true;
};
