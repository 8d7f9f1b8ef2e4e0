const stage = $('.stage'), ink = stage.getContext('2d'), picture = $('.picture');
const state = { limit: 3, z: [0, 0], anchors: { a: [-1, -1], b: [1, 1] }, drag: null, placed: null, draws: [], points: null, atlas: null, decoder: null, asked: false };
const address = link.view('one'), DOT = 2.6, HANDLE = 11;

// The plane and the canvas: z grows to the right and upwards.
const toCanvas = ([x, y]) => [(x / state.limit + 1) / 2 * stage.width, (1 - y / state.limit) / 2 * stage.height];
function toPlane(event) {
  const box = stage.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width * 2 - 1) * state.limit;
  const y = (1 - (event.clientY - box.top) / box.height * 2) * state.limit;
  return [x, y].map(v => Math.round(clamp(v, -state.limit, state.limit) * 100) / 100);
}

// Atlas and dots change rarely: they are painted once into a picture of their own.
const ground = document.createElement('canvas');
function paintGround() {
  ground.width = stage.width;
  ground.height = stage.height;
  const g = ground.getContext('2d'), shade = $('.show-dots').checked && state.points ? 0.55 : 1;
  g.fillStyle = '#000';
  g.fillRect(0, 0, ground.width, ground.height);
  if (state.atlas && $('.show-atlas').checked) {
    g.globalAlpha = shade;
    g.imageSmoothingEnabled = state.atlas.width > ground.width;
    g.drawImage(state.atlas, 0, 0, ground.width, ground.height);
    g.globalAlpha = 1;
  }
  if (state.points && $('.show-dots').checked) {
    const { x, y, labels } = state.points, r = DOT * stage.width / stage.clientWidth;
    g.strokeStyle = 'rgba(0, 0, 0, 0.55)';
    for (let i = 0; i < x.length; i++) {
      const [px, py] = toCanvas([x[i], y[i]]);
      g.fillStyle = page.colours[labels[i] % page.colours.length];
      g.beginPath();
      g.arc(px, py, r, 0, 7);
      g.fill();
      g.stroke();
    }
  }
  paint();
}

function paint() {
  const unit = stage.width / (stage.clientWidth || stage.width);
  ink.drawImage(ground, 0, 0);
  const [a, b, z] = [state.anchors.a, state.anchors.b, state.z].map(toCanvas);
  const stroke = (width, style) => { ink.lineWidth = width * unit; ink.strokeStyle = style; ink.stroke(); };
  ink.beginPath(); ink.moveTo(...a); ink.lineTo(...b);
  stroke(5, 'rgba(0, 0, 0, 0.6)'); stroke(2, '#fff');
  if (state.placed) {
    const [x, y] = toCanvas(state.placed.z), scale = stage.width / 2 / state.limit;
    const [rx, ry] = state.placed.deviation.map(d => Math.max(2 * d * scale, 3 * unit));
    ink.beginPath(); ink.ellipse(x, y, rx, ry, 0, 0, 7);
    stroke(4, 'rgba(0, 0, 0, 0.7)');
    ink.setLineDash([5 * unit, 3 * unit]); stroke(2, '#fff'); ink.setLineDash([]);
    for (const spot of state.draws) {
      ink.beginPath(); ink.arc(...toCanvas(spot), 3.5 * unit, 0, 7);
      ink.fillStyle = '#fff'; ink.fill(); stroke(1.5, '#10151f');
    }
    // Ticks around the ellipse, and the image itself on a lead, or the spot would drown in the dots.
    ink.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      ink.moveTo(x + dx * (rx + 4 * unit), y + dy * (ry + 4 * unit));
      ink.lineTo(x + dx * (rx + 13 * unit), y + dy * (ry + 13 * unit));
    }
    stroke(5, 'rgba(0, 0, 0, 0.75)'); stroke(2, '#fff');
    const side = 42 * unit, far = 30 * unit;
    const left = x + far + side > stage.width ? x - far - side : x + far, top = y - far - side < 0 ? y + far : y - far - side;
    ink.beginPath(); ink.moveTo(x, y); ink.lineTo(left < x ? left + side : left, top < y ? top + side : top);
    stroke(4, 'rgba(0, 0, 0, 0.75)'); stroke(1.5, '#fff');
    ink.imageSmoothingEnabled = false;
    ink.drawImage($('.seen'), left, top, side, side);
    ink.beginPath(); ink.rect(left, top, side, side);
    stroke(2, '#fff');
  }
  for (const [name, [x, y], fill] of [['A', a, '#ffa94d'], ['B', b, '#3bc9db']]) {
    ink.beginPath(); ink.arc(x, y, HANDLE * unit, 0, 7);
    ink.fillStyle = fill; ink.fill(); stroke(2, '#10151f');
    ink.fillStyle = '#10151f'; ink.font = `700 ${13 * unit}px system-ui, sans-serif`;
    ink.textAlign = 'center'; ink.textBaseline = 'middle'; ink.fillText(name, x, y + unit / 2);
  }
  ink.beginPath(); ink.arc(...z, 8 * unit, 0, 7);
  stroke(5, 'rgba(0, 0, 0, 0.75)'); stroke(2.5, '#fff');
}

function nearestDot([x, y]) {
  if (!state.points) return '';
  let best = -1, least = Infinity;
  state.points.x.forEach((px, i) => {
    const d = (px - x) ** 2 + (state.points.y[i] - y) ** 2;
    if (d < least) { least = d; best = i; }
  });
  const name = state.points.class_names[state.points.labels[best]];
  return Math.sqrt(least) > state.limit / 8 ? t`No test image lies near: here the network is on its own.` : t`Nearest test image: class ${name}.`;
}

function tell() {
  $('.where').textContent = `z₁ = ${signed(state.z[0], ' ')}\nz₂ = ${signed(state.z[1], ' ')}`;
  $('.near').textContent = nearestDot(state.z);
}

const decoded = (since, z, code) => {
  python.set('Spot', code);
  stage.dispatchEvent(new CustomEvent('decoded', { detail: { ms: performance.now() - since, z, here: Boolean(state.decoder) } }));
};
const decode = latest(server.decode, (answer, job) => {
  paintRaw(picture, answer.picture, page.size, page.channels);
  decoded(job.since, answer.z, answer.code);
});
// A small decoder is fetched with the first move, and from then on every spot is decoded here.
const askDecoder = latest(server.decoder, answer => {
  if (!answer.layers || !MULTIPLY) return;
  const run = decoderInPage(answer.layers, page.size, page.channels);
  state.decoder = (z, since) => {
    paintBytes(picture, run(z), page.size, page.channels);
    decoded(since, z, codeAt(answer.code, z));
  };
}, () => {}, () => {});
function goTo(z) {
  state.z = z.map(v => Math.round(clamp(v, -state.limit, state.limit) * 100) / 100 + 0);
  address.set({ z: state.z });
  if (!state.asked) askDecoder({});
  state.asked = true;
  if (state.decoder) state.decoder(state.z, performance.now());
  else decode({ z: state.z });
  paint();
  tell();
}

const between = t => state.anchors.a.map((v, i) => v + (state.anchors.b[i] - v) * t);
const line = filmStrip({ strip: $('.strip'), slider: $('.t'), onMove: t => goTo(between(t)) });
const askLine = latest(server.line, async answer => { await line.set(answer.film); python.set('Line', answer.code); });
function setAnchor(name, z) {
  state.anchors[name] = z.map(v => Math.round(clamp(v, -state.limit, state.limit) * 100) / 100);
  address.set({ [name]: state.anchors[name] });
  askLine(state.anchors);
  paint();
}

function handleAt(event) {
  const box = stage.getBoundingClientRect(), reach = event.pointerType === 'touch' ? 26 : 15;
  return Object.keys(state.anchors).find(name => {
    const [x, y] = toCanvas(state.anchors[name]).map(v => v * box.width / stage.width);
    return Math.hypot(event.clientX - box.left - x, event.clientY - box.top - y) <= reach;
  });
}
stage.addEventListener('pointerdown', event => {
  state.drag = handleAt(event) || null;
  stage.setPointerCapture(event.pointerId);
  if (!state.drag) goTo(toPlane(event));
});
stage.addEventListener('pointermove', event => {
  stage.style.cursor = state.drag ? 'grabbing' : handleAt(event) ? 'grab' : 'crosshair';
  if (state.drag) setAnchor(state.drag, toPlane(event));
  goTo(toPlane(event));
});
for (const end of ['pointerup', 'pointercancel']) stage.addEventListener(end, () => { state.drag = null; });
stage.addEventListener('keydown', event => {
  const step = (event.shiftKey ? 0.01 : 0.04) * state.limit;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
  const name = event.key.toLowerCase();
  if (moves[event.key]) goTo(state.z.map((v, i) => v + moves[event.key][i]));
  else if ((name === 'a' || name === 'b') && !event.ctrlKey && !event.metaKey && !event.altKey) setAnchor(name, state.z);
  else return;
  event.preventDefault();
});
for (const box of ['.show-atlas', '.show-dots']) $(box).addEventListener('change', paintGround);

// The drawing: soft strokes, about as thick against the digit as MNIST's.
const pad = $('.pad'), pen = pad.getContext('2d', { willReadFrequently: true });
let last = null, drawn = false;
function wipe(hint = '') {
  pen.fillStyle = '#000';
  pen.fillRect(0, 0, pad.width, pad.height);
  pen.fillStyle = '#8b94a3';
  pen.font = '11px system-ui, sans-serif';
  pen.textAlign = 'center';
  pen.fillText(hint, pad.width / 2, pad.height / 2);
  drawn = false;
}
function showPlaced(answer) {
  paintRaw($('.seen'), answer.seen, page.size, page.channels);
  paintRaw($('.back'), answer.picture, page.size, page.channels);
  state.placed = answer;
  state.draws = [];
  $('.resample').hidden = false;
  $('.draws').replaceChildren();
  const [x, y] = answer.z.map(v => signed(v, ''));
  const away = answer.z.some(v => Math.abs(v) > state.limit) ? ` ${t`That is off this map.`}` : '';
  $('.verdict').textContent = `${answer.label ? t`A test image of class ${answer.label}, placed at z = (${x}, ${y}); the ellipse spans two standard deviations.` : t`Placed at z = (${x}, ${y}); the ellipse spans two standard deviations.`}${away} ${answer.label ? '' : nearestDot(answer.z)}`;
  python.set(answer.label ? 'Test image' : 'Drawing', answer.code, answer.focus ?? true);
  paint();
}
const place = latest(server.place, showPlaced, message => { $('.verdict').textContent = message; });
const example = latest(server.example, showPlaced, message => { $('.verdict').textContent = message; });
function send() {
  const { data } = pen.getImageData(0, 0, pad.width, pad.height);
  let bytes = '';
  for (let i = 0; i < data.length; i += 4) bytes += String.fromCharCode(data[i]);
  place({ drawing: btoa(bytes) });
}
function penAt(event) {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * pad.width, (event.clientY - box.top) / box.height * pad.height];
}
function strokeTo(point) {
  pen.strokeStyle = '#fff';
  pen.lineWidth = 9;
  pen.lineCap = pen.lineJoin = 'round';
  pen.beginPath();
  pen.moveTo(...(last || point));
  pen.lineTo(...point);
  pen.stroke();
  last = point;
}
pad.addEventListener('pointerdown', event => {
  if (!drawn) wipe();
  drawn = true;
  pad.setPointerCapture(event.pointerId);
  last = null;
  strokeTo(penAt(event));
  send();
});
pad.addEventListener('pointermove', event => {
  if (!last) return;
  strokeTo(penAt(event));
  send();
});
for (const end of ['pointerup', 'pointercancel']) pad.addEventListener(end, () => { last = null; });
const askResample = latest(server.resample, async answer => {
  const sheet = await loadImage(answer.sheet);
  state.draws = answer.latents;
  $('.draws').replaceChildren(...answer.latents.map((_, i) => {
    const cell = document.createElement('canvas');
    paintFrame(cell, sheet, i, page.resampled, page.size);
    return cell;
  }));
  python.set('Posterior', answer.code);
  paint();
});
$('.resample').addEventListener('click', () => askResample({ z: state.placed.z, deviation: state.placed.deviation, seed: Math.floor(Math.random() * 100000) }));
$('.clear').addEventListener('click', () => {
  state.placed = null;
  $('.resample').hidden = true;
  $('.draws').replaceChildren();
  for (const name of ['.seen', '.back']) { const c = $(name); c.width = c.width; }
  $('.verdict').textContent = t`Draw with the pointer or a finger.`;
  wipe(t`draw here`);
  paint();
});
$('.example').addEventListener('click', () => {
  wipe(t`draw here`);
  example({ index: Math.floor(Math.random() * (state.points ? state.points.total : 1)) });
});

python.picture('Spot', '.picture');
python.picture('Line', '.line-part .strip canvas');
python.picture('Atlas', () => [state.atlas]);
for (const name of ['Test image', 'Drawing']) python.picture(name, '.back');
python.picture('Posterior', '.draws canvas');
wipe(t`draw here`);
if (!page.draws) {
  $('.what').textContent = t`Take a test image`;
  $('.example').textContent = t`Another`;
  pad.hidden = $('.clear').hidden = true;
}
showSources(page.sources);
trainingFilm()(page.film);
views([['one', t`the VAE`], ['pair', t`VAE and autoencoder`], ...(page.faces ? [['faces', t`Faces`]] : [])]);
address.restore(() => {
  const [a, b, z] = ['a', 'b', 'z'].map(name => address.numbers(name, 2));
  if (a) setAnchor('a', a);
  if (b) setAnchor('b', b);
  if (z) goTo(z);
});
begin(async first => {
  stage.dataset.limit = first.limit;
  Object.assign(state, { limit: first.limit, points: first.points, z: first.z, anchors: { a: first.anchors[0], b: first.anchors[1] } });
  if (first.points) {
    legend($('.legend'), first.points);
  } else {
    $('.show-dots').closest('label').hidden = $('.example').hidden = true;
  }
  paintRaw(picture, first.picture, page.size, page.channels);
  python.set('Spot', first.picture_code);
  python.set('Line', first.line.code, false);
  python.set('Atlas', first.atlas_code, false);
  tell();
  state.atlas = await loadImage(first.atlas);
  await line.set(first.line.film);
  if (first.example) showPlaced({ ...first.example, focus: false });
  onResize(stage, () => {
    if (!stage.clientWidth) return;
    const narrow = element.clientWidth < 700;
    picture.style.width = `${wholeMultiple(page.size, 280, narrow ? 170 : 280)}px`;
    for (const name of ['.seen', '.back']) $(name).style.width = `${wholeMultiple(page.size, 120, narrow ? 64 : 120)}px`;
    pad.style.width = pad.style.height = narrow ? '150px' : '168px';
    stage.width = stage.height = Math.round(stage.clientWidth * devicePixelRatio);
    paintGround();
  });
});
