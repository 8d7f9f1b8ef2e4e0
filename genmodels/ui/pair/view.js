// Two maps, one cursor.
const CIRCLE = 2;
const KINDS = { map: t`VAE`, autoencoder: t`Autoencoder` };
const address = link.view('pair');
const pair = { limit: 3, z: [0, 0], sides: [], asked: false, decode: null, moved: false };

function twin(kind) {
  const root = document.createElement('section');
  root.className = 'twin';
  root.dataset.kind = kind;
  root.setAttribute('aria-label', KINDS[kind]);
  root.innerHTML = `<h2>${KINDS[kind]} <span class="note twin-name"></span></h2><div class="twin-body">
    <canvas class="twin-stage" width="500" height="500" tabindex="0" role="application" aria-label="${t`Latent map of: ${KINDS[kind]}. Arrow keys move the ring on both maps, with Shift in small steps; both decode the same latent.`}"></canvas>
    <figure class="twin-spot"><canvas class="twin-picture" role="img" aria-label="${t`Decoded by: ${KINDS[kind]}`}"></canvas>
    <figcaption><output class="twin-where figures" aria-live="off"></output><span class="twin-near note"></span></figcaption></figure></div>`;
  $('.twins').append(root);
  const stage = $('.twin-stage', root);
  const side = { kind, root, stage, ground: document.createElement('canvas'), data: null, atlas: null };
  const follow = event => {
    const box = stage.getBoundingClientRect();
    moveTo([((event.clientX - box.left) / box.width * 2 - 1) * pair.limit, (1 - (event.clientY - box.top) / box.height * 2) * pair.limit]);
  };
  stage.addEventListener('pointerdown', event => { stage.setPointerCapture(event.pointerId); follow(event); });
  stage.addEventListener('pointermove', follow);
  stage.addEventListener('keydown', event => {
    const step = (event.shiftKey ? 0.01 : 0.04) * pair.limit;
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (!by) return;
    moveTo(pair.z.map((v, i) => v + by[i]));
    event.preventDefault();
  });
  return side;
}

const onStage = (side, x, y) => [(x / pair.limit + 1) / 2 * side.stage.width, (1 - y / pair.limit) / 2 * side.stage.height];

function paintGround(side) {
  const { width, height } = side.stage, { x, y, labels } = side.data.points, unit = width / side.stage.clientWidth;
  side.ground.width = width;
  side.ground.height = height;
  const g = side.ground.getContext('2d');
  const dots = $('.show-twin-dots').checked, dot = clamp(side.stage.clientWidth / 230, 1.2, 2.2) * unit;
  g.fillStyle = '#000';
  g.fillRect(0, 0, width, height);
  g.globalAlpha = dots ? 0.6 : 1;
  g.imageSmoothingEnabled = side.atlas.width > width;
  g.drawImage(side.atlas, 0, 0, width, height);
  g.globalAlpha = 1;
  if ($('.show-holes').checked) {
    // All that is farther than the radius from every dot: a sheet with a disc cut out at each.
    const shade = document.createElement('canvas');
    shade.width = width;
    shade.height = height;
    const s = shade.getContext('2d');
    s.fillStyle = '#e8590c';
    s.fillRect(0, 0, width, height);
    s.globalCompositeOperation = 'destination-out';
    s.beginPath();
    for (let i = 0; i < x.length; i++) {
      const [px, py] = onStage(side, x[i], y[i]), r = page.radius / pair.limit / 2 * width;
      s.moveTo(px + r, py);
      s.arc(px, py, r, 0, 7);
    }
    s.fill();
    g.globalAlpha = 0.38;
    g.drawImage(shade, 0, 0);
    g.globalAlpha = 1;
  }
  // Where most of what is drawn at random lies.
  g.beginPath();
  g.arc(width / 2, height / 2, CIRCLE / pair.limit / 2 * width, 0, 7);
  g.setLineDash([6 * unit, 5 * unit]);
  g.lineWidth = 1.5 * unit;
  g.strokeStyle = '#fff';
  g.stroke();
  g.setLineDash([]);
  g.lineWidth = 1;
  if (!dots) return;
  g.strokeStyle = 'rgba(0, 0, 0, 0.55)';
  for (let i = 0; i < x.length; i++) {
    g.fillStyle = page.colours[labels[i] % page.colours.length];
    g.beginPath();
    g.arc(...onStage(side, x[i], y[i]), dot, 0, 7);
    g.fill();
    g.stroke();
  }
}

function paintSide(side) {
  const ink = side.stage.getContext('2d'), unit = side.stage.width / side.stage.clientWidth;
  ink.drawImage(side.ground, 0, 0);
  ink.beginPath();
  ink.arc(...onStage(side, ...pair.z), page.radius / pair.limit / 2 * side.stage.width, 0, 7);
  for (const [width, style] of [[5, 'rgba(0, 0, 0, 0.8)'], [2.5, '#fff']]) {
    ink.lineWidth = width * unit;
    ink.strokeStyle = style;
    ink.stroke();
  }
}

// The distance to the nearest test image, which needs no network to judge.
function measure(side) {
  const { x, y, labels, class_names: names } = side.data.points;
  let best = 0, least = Infinity;
  for (let i = 0; i < x.length; i++) {
    const d = (x[i] - pair.z[0]) ** 2 + (y[i] - pair.z[1]) ** 2;
    if (d < least) { least = d; best = i; }
  }
  const distance = Math.sqrt(least), hole = distance > page.radius, near = $('.twin-near', side.root);
  near.textContent = hole ? t`A hole: the nearest test image is ${decimal(distance, 2)} away.` : t`A test image of class ${names[labels[best]]} is ${decimal(distance, 2)} away.`;
  near.classList.toggle('hole', hole);
  $('.twin-where', side.root).textContent = `z = (${pair.z.map(v => signed(v, '')).join(decimal(0.5, 1).includes(',') ? '; ' : ', ')})`;
}

function showBoth(z, code, paint) {
  pair.sides.forEach(side => paint($('.twin-picture', side.root), side));
  python.set('Both', code);
  $('.twins').dispatchEvent(new CustomEvent('decoded', { detail: { z, here: Boolean(pair.decode) } }));
}
const askBoth = latest(server.decode_both, answer => {
  showBoth(answer.z, answer.code, (canvas, { kind, data }) => paintRaw(canvas, answer[kind], data.size, data.channels));
});
// As on the map alone: small decoders come with the first move.
const askDecoders = latest(server.decoders, ({ layers, code }) => {
  if (!layers || !MULTIPLY) return;
  const runs = Object.fromEntries(pair.sides.map(({ kind, data }) => [kind, decoderInPage(layers[kind], data.size, data.channels)]));
  pair.decode = z => showBoth(z, codeAt(code, z), (canvas, { kind, data }) => paintBytes(canvas, runs[kind](z), data.size, data.channels));
}, () => {}, () => {});

function moveTo(z) {
  if (!pair.sides.length) return;
  pair.z = z.map(v => Math.round(clamp(v, -pair.limit, pair.limit) * 100) / 100);
  address.set({ z: pair.z });
  if (!pair.moved) askDecoders({});
  pair.moved = true;
  if (pair.decode) pair.decode(pair.z);
  else askBoth({ z: pair.z });
  pair.sides.forEach(paintSide);
  pair.sides.forEach(measure);
}

function fitPair() {
  pair.sides.forEach(side => {
    if (!side.stage.clientWidth) return;
    $('.twin-picture', side.root).style.width = `${wholeMultiple(side.data.size, 140, element.clientWidth < 700 ? 112 : 140)}px`;
    side.stage.width = side.stage.height = Math.round(side.stage.clientWidth * devicePixelRatio);
    paintGround(side);
    paintSide(side);
  });
}

async function showPair(first) {
  Object.assign(pair, { limit: first.limit, z: first.z, sides: Object.keys(KINDS).map(twin) });
  for (const side of pair.sides) {
    side.data = first[side.kind];
    side.atlas = await loadImage(side.data.atlas);
    $('.twin-name', side.root).textContent = side.data.name;
    paintRaw($('.twin-picture', side.root), side.data.picture, side.data.size, side.data.channels);
    measure(side);
  }
  legend($('.twin-legend'), first.map.points);
  const share = kind => `${Math.round(100 * first[kind].in_holes)}%`;
  $('.drawn').textContent = t`Of latents drawn from N(0, I), ${share('map')} fall into holes of the VAE's map and ${share('autoencoder')} into holes of the autoencoder's: spots with none of ${first.map.points.total.toLocaleString(LANGUAGE)} test images within ${significant(page.radius, 2)} of them, the ring's radius. The dashed circle |z| = ${CIRCLE} holds ${Math.round(100 * (1 - Math.exp(-CIRCLE * CIRCLE / 2)))}% of what is drawn. The autoencoder's codes were shifted and scaled to mean 0 and covariance I, so the two maps have one scale.`;
  $('.twins').dataset.limit = first.limit;
  python.set('Both', first.code);
  onResize($('.twins'), fitPair);
  const wanted = address.numbers('z', 2);
  if (wanted) moveTo(wanted);
}
for (const box of ['.show-holes', '.show-twin-dots']) $(box).addEventListener('change', fitPair);
const askPair = latest(server.pair, showPair, message => {
  $('.twin-view .controls').hidden = true;
  $('.drawn').textContent = message;
});
$('.pair-sources').append(...page.pair.map(([title, sources]) => {
  const place = Object.assign(document.createElement('p'), { className: 'note sources' });
  showSources(sources, place, title);
  return place;
}));
python.picture('Both', '.twin-picture');
opened.pair = () => {
  if (!pair.asked) askPair({});
  pair.asked = true;
};
