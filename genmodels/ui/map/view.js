import { legend, showSources } from '../common/about.js';
import { codeAt, decoderInPage } from '../common/decoder.js';
import { choices, newSeed, onRelease, onResize } from '../common/dom.js';
import { filmStrip, fitWidth, loadImage, paintBytes, paintRaw, penOf, pictureOf, rawOf } from '../common/pictures.js';
import { byArrow, nearest, paintPlane, toCanvas, toPlane, within } from '../common/plane.js';
import { signed, t } from '../common/text.js';
import { trainingFilm } from '../films/view.js';

// Pixels of the page: of a dot and of an anchor.
const DOT = 2.6;
const HANDLE = 11;

/** @param {Tab} tab */
export default function map(tab) {
  const { $, begin, element, find, latest, link, once, page, python, server, views } = tab;
  const [stage, picture, verdict, pad] = find('.stage', '.picture', '.verdict', '.pad');
  const ink = penOf(stage);
  const state = {
    limit: 3,
    z: [0, 0],
    /** @type {Record<string, number[]>} */
    anchors: { a: [-1, -1], b: [1, 1] },
    /** The anchor under the pointer. */
    drag: '',
    /** The image that was placed. @type {{z: Point, deviation: number[]} | null} */
    placed: null,
    /** Draws from its posterior. @type {Point[]} */
    draws: [],
    /** What latents are drawn from, '' for nothing, and what was drawn. */
    prior: '',
    seed: 0,
    /** @type {Point[]} */
    drawn: [],
    /** The fitted law: share, mean, half axes and angle of each Gaussian. @type {number[][]} */
    law: [],
    /** @type {Points | null} */
    points: null,
    /** @type {HTMLImageElement | null} */
    atlas: null,
    /** @type {((z: number[], since: number) => void) | null} */
    decoder: null,
  };
  const address = link.view('one');

  // Atlas and dots change rarely: they are painted once into a picture of their own.
  const ground = document.createElement('canvas');
  function paintGround() {
    paintPlane(ground, stage, {
      limit: state.limit,
      atlas: $('.show-atlas').checked ? state.atlas : null,
      points: $('.show-dots').checked ? state.points : null,
      radius: (DOT * stage.width) / stage.clientWidth,
      shade: 0.55,
      colours: page.colours,
    });
    paint();
  }

  /** A pixel of the page in those of the stage. */
  const unitOf = () => stage.width / (stage.clientWidth || stage.width);
  const at = (/** @type {Point} */ z) => toCanvas(stage, state.limit, z);
  /** A wide dark pen and a narrow bright one. @param {() => void} path @param {...[number, string]} pens */
  function stroke(path, ...pens) {
    ink.beginPath();
    path();
    for (const [width, style] of pens) {
      ink.lineWidth = width * unitOf();
      ink.strokeStyle = style;
      ink.stroke();
    }
  }
  /** @param {Point} middle @param {number} radius @param {string} fill */
  function disc([x, y], radius, fill) {
    const path = () => ink.arc(x, y, radius * unitOf(), 0, 7);
    ink.fillStyle = fill;
    stroke(() => {
      path();
      ink.fill();
    });
    return path;
  }
  /** @param {...Point} points */
  const line = (...points) => {
    for (const [x, y] of points) ink.lineTo(x, y);
  };

  function paintLaw() {
    const laws = /** @type {Record<string, number[][]>} */ ({ normal: [[1, 0, 0, 1, 1, 0]], fitted: state.law });
    for (const [share, x, y, a, b, angle] of laws[state.prior] ?? []) {
      const scale = stage.width / (2 * state.limit);
      for (const times of [1, 2]) {
        // Angles grow to the left on the map, to the right on a canvas.
        const ellipse = () => ink.ellipse(...at([x, y]), times * a * scale, times * b * scale, -angle, 0, 7);
        // Gaussians of an even share are drawn alike, smaller ones fainter.
        ink.globalAlpha = Math.min(1, 0.25 + 0.75 * share * laws[state.prior].length);
        stroke(ellipse, [3.5, 'rgba(0, 0, 0, 0.6)'], [1.5, times === 1 ? '#ffd43b' : '#fff3bf']);
      }
    }
    ink.globalAlpha = 1;
    for (const z of state.drawn) stroke(disc(at(z), 4.5, '#ffd43b'), [2, '#10151f']);
  }
  function paint() {
    const unit = unitOf();
    ink.drawImage(ground, 0, 0);
    paintLaw();
    stroke(() => line(at(state.anchors.a), at(state.anchors.b)), [5, 'rgba(0, 0, 0, 0.6)'], [2, '#fff']);
    if (state.placed) paintPlaced(state.placed, unit);
    for (const [name, fill] of Object.entries({ a: '#ffa94d', b: '#3bc9db' })) {
      const [x, y] = at(state.anchors[name]);
      stroke(disc([x, y], HANDLE, fill), [2, '#10151f']);
      ink.fillStyle = '#10151f';
      ink.font = `700 ${13 * unit}px system-ui, sans-serif`;
      ink.textAlign = 'center';
      ink.textBaseline = 'middle';
      ink.fillText(name.toUpperCase(), x, y + unit / 2);
    }
    const spot = at(state.z);
    stroke(() => ink.arc(...spot, 8 * unit, 0, 7), [5, 'rgba(0, 0, 0, 0.75)'], [2.5, '#fff']);
  }
  /** @param {{z: Point, deviation: number[]}} placed @param {number} unit */
  function paintPlaced({ z, deviation }, unit) {
    const [x, y] = at(z);
    const [rx, ry] = deviation.map(d => Math.max((d * stage.width) / state.limit, 3 * unit));
    const ellipse = () => ink.ellipse(x, y, rx, ry, 0, 0, 7);
    stroke(ellipse, [4, 'rgba(0, 0, 0, 0.7)']);
    ink.setLineDash([5 * unit, 3 * unit]);
    stroke(ellipse, [2, '#fff']);
    ink.setLineDash([]);
    for (const draw of state.draws) stroke(disc(at(draw), 3.5, '#fff'), [1.5, '#10151f']);
    // Ticks around the ellipse, and the image itself on a lead, or the spot would drown in the dots.
    const ticks = () => {
      for (const sign of [1, -1]) {
        ink.moveTo(x + sign * (rx + 4 * unit), y);
        ink.lineTo(x + sign * (rx + 13 * unit), y);
        ink.moveTo(x, y + sign * (ry + 4 * unit));
        ink.lineTo(x, y + sign * (ry + 13 * unit));
      }
    };
    stroke(ticks, [5, 'rgba(0, 0, 0, 0.75)'], [2, '#fff']);
    const [side, far] = [42 * unit, 30 * unit];
    const left = x + far + side > stage.width ? x - far - side : x + far;
    const top = y - far - side < 0 ? y + far : y - far - side;
    const corner = [left < x ? left + side : left, top < y ? top + side : top];
    stroke(() => line([x, y], corner), [4, 'rgba(0, 0, 0, 0.75)'], [1.5, '#fff']);
    ink.imageSmoothingEnabled = false;
    ink.drawImage($('.seen'), left, top, side, side);
    stroke(() => ink.rect(left, top, side, side), [2, '#fff']);
  }

  function nearestDot(/** @type {Point} */ z) {
    if (!state.points) return '';
    const { distance, name } = nearest(state.points, z);
    return distance > state.limit / 8
      ? t`No test image lies near: here the network is on its own.`
      : t`Nearest test image: class ${name}.`;
  }

  function tell() {
    $('.where').textContent = `z₁ = ${signed(state.z[0], ' ')}\nz₂ = ${signed(state.z[1], ' ')}`;
    $('.near').textContent = nearestDot(state.z);
  }

  /** @param {number} since @param {Point} z @param {string} code */
  const decoded = (since, z, code) => {
    python.set('Spot', code);
    const detail = { ms: performance.now() - since, z, here: Boolean(state.decoder) };
    stage.dispatchEvent(new CustomEvent('decoded', { detail }));
  };
  const decode = latest(server.decode, (answer, job) => {
    paintRaw(picture, answer.picture, page.size, page.channels);
    decoded(job.since, answer.z, answer.code);
  });
  // A small decoder is fetched with the first move, and from then on every spot is decoded here.
  const ask = () => decode({ z: state.z });
  const begun = (/** @type {Answer} */ { layers, code }) => {
    if (!layers) return ask();
    const run = decoderInPage(layers, page.size, page.channels);
    state.decoder = (z, since) => {
      paintBytes(picture, run(z), page.size, page.channels);
      decoded(since, z, codeAt(code, z));
    };
    state.decoder(state.z, performance.now());
  };
  const fetchDecoder = once(server.decoder, begun, ask);
  function goTo(/** @type {Point} */ z) {
    state.z = within(z, state.limit);
    address.set({ z: state.z });
    const coming = fetchDecoder();
    if (state.decoder) state.decoder(state.z, performance.now());
    else if (!coming) ask();
    paint();
    tell();
  }

  const between = (/** @type {number} */ share) => state.anchors.a.map((v, i) => v + (state.anchors.b[i] - v) * share);
  const film = filmStrip({ strip: $('.strip'), slider: $('.t'), onMove: share => goTo(between(share)) });
  const askLine = latest(server.line, async answer => {
    await film.set(answer.film);
    python.set('Line', answer.code);
  });
  /** @param {string} name @param {Point} z */
  function setAnchor(name, z) {
    state.anchors[name] = within(z, state.limit);
    address.set({ [name]: state.anchors[name] });
    askLine(state.anchors);
    paint();
  }

  function handleAt(/** @type {PointerEvent} */ event) {
    const box = stage.getBoundingClientRect();
    const reach = event.pointerType === 'touch' ? 26 : 15;
    const found = Object.keys(state.anchors).find(name => {
      const [x, y] = toCanvas(stage, state.limit, state.anchors[name]).map(v => (v * box.width) / stage.width);
      return Math.hypot(event.clientX - box.left - x, event.clientY - box.top - y) <= reach;
    });
    return found ?? '';
  }
  stage.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    state.drag = handleAt(event);
    stage.setPointerCapture(event.pointerId);
    if (!state.drag) goTo(toPlane(stage, state.limit, event));
  });
  stage.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => {
    stage.style.cursor = state.drag ? 'grabbing' : handleAt(event) ? 'grab' : 'crosshair';
    const z = toPlane(stage, state.limit, event);
    if (state.drag) setAnchor(state.drag, z);
    goTo(z);
  });
  onRelease(stage, () => {
    state.drag = '';
  });
  stage.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const z = byArrow(event, state.z, state.limit);
    const name = event.key.toLowerCase();
    if (z) goTo(z);
    else if (name in state.anchors && !event.ctrlKey && !event.metaKey && !event.altKey) setAnchor(name, state.z);
    else return;
    event.preventDefault();
  });
  for (const box of ['.show-atlas', '.show-dots']) $(box).addEventListener('change', paintGround);

  // The drawing: soft strokes, about as thick against the digit as MNIST's.
  const pen = penOf(pad, { willReadFrequently: true });
  /** @type {Point | null} */
  let last = null;
  let drawn = false;
  function wipe(hint = '') {
    pen.fillStyle = '#000';
    pen.fillRect(0, 0, pad.width, pad.height);
    pen.fillStyle = '#8b94a3';
    pen.font = '11px system-ui, sans-serif';
    pen.textAlign = 'center';
    pen.fillText(hint, pad.width / 2, pad.height / 2);
    drawn = false;
  }
  function showPlaced(/** @type {any} */ answer) {
    paintRaw($('.seen'), answer.seen, page.size, page.channels);
    paintRaw($('.back'), answer.picture, page.size, page.channels);
    state.placed = answer;
    state.draws = [];
    $('.resample').hidden = false;
    $('.draw .draws').replaceChildren();
    const [x, y] = answer.z.map((/** @type {number} */ v) => signed(v, ''));
    verdict.textContent = [
      answer.label
        ? t`A test image of class ${answer.label}, placed at z = (${x}, ${y}); the ellipse spans two standard
          deviations.`
        : t`Placed at z = (${x}, ${y}); the ellipse spans two standard deviations.`,
      answer.z.some((/** @type {number} */ v) => Math.abs(v) > state.limit) ? t`That is off this map.` : '',
      answer.label ? '' : nearestDot(answer.z),
    ]
      .filter(Boolean)
      .join(' ');
    python.set(answer.label ? 'Test image' : 'Drawing', answer.code, answer.focus ?? true);
    paint();
  }
  const fail = (/** @type {string} */ message) => {
    verdict.textContent = message;
  };
  const place = latest(server.place, showPlaced, fail);
  const example = latest(server.example, showPlaced, fail);
  function strokeTo(/** @type {PointerEvent} */ event) {
    const box = pad.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * pad.width;
    const y = ((event.clientY - box.top) / box.height) * pad.height;
    pen.strokeStyle = '#fff';
    pen.lineWidth = 9;
    pen.lineCap = pen.lineJoin = 'round';
    pen.beginPath();
    pen.moveTo(last?.[0] ?? x, last?.[1] ?? y);
    pen.lineTo(x, y);
    pen.stroke();
    last = [x, y];
    place({ drawing: rawOf(pad, 1) });
  }
  pad.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    if (!drawn) wipe();
    drawn = true;
    pad.setPointerCapture(event.pointerId);
    last = null;
    strokeTo(event);
  });
  pad.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => {
    if (last) strokeTo(event);
  });
  onRelease(pad, () => {
    last = null;
  });
  const askResample = latest(server.resample, async answer => {
    const sheet = await loadImage(answer.sheet);
    state.draws = answer.latents;
    $('.draw .draws').replaceChildren(...state.draws.map((_, i) => pictureOf(sheet, i, page.resampled, page.size)));
    python.set('Posterior', answer.code);
    paint();
  });
  $('.resample').addEventListener('click', () => {
    askResample({ z: state.placed?.z, deviation: state.placed?.deviation, seed: newSeed() });
  });
  // The laws, and images drawn from the one that is chosen.
  const askDrawn = latest(server.drawn, async (answer, job) => {
    const sheet = await loadImage(answer.sheet);
    if (job.payload.prior !== state.prior) return;
    state.drawn = answer.latents;
    $('.law-draws').replaceChildren(...state.drawn.map((_, i) => pictureOf(sheet, i, page.resampled, page.size)));
    python.set('Drawn', answer.code);
    paint();
  });
  /** @type {Record<string, string>} */
  const words = {
    '': '',
    normal: t`What training pulled the latents towards: between the clusters, where no image lies, it draws nothing
      real.`,
    fitted: t`A mixture of Gaussians, fitted to the latents of the training images after the training: it goes around
      the gaps, and is what this model draws from.`,
  };
  function showLaw() {
    address.set({ prior: state.prior || undefined, seed: state.prior ? state.seed : undefined });
    $('.law-new').hidden = !state.prior;
    $('.law-words').textContent = words[state.prior];
    if (state.prior) askDrawn({ prior: state.prior, seed: state.seed });
    else {
      state.drawn = [];
      $('.law-draws').replaceChildren();
      python.drop('Drawn');
    }
    paint();
  }
  $('.law-new').addEventListener('click', () => {
    state.seed = newSeed();
    showLaw();
  });
  /** @type {(prior: string) => void} */
  let pressLaw = () => {};

  $('.clear').addEventListener('click', () => {
    state.placed = null;
    $('.resample').hidden = true;
    $('.draw .draws').replaceChildren();
    for (const name of ['.seen', '.back']) $(name).width = page.size;
    verdict.textContent = t`Draw with the pointer or a finger.`;
    wipe(t`draw here`);
    paint();
  });
  $('.example').addEventListener('click', () => {
    wipe(t`draw here`);
    example({ index: Math.floor(Math.random() * (state.points ? state.points.total : 1)) });
  });

  python.picture('Spot', '.picture');
  python.picture('Line', '.line-part .strip canvas');
  python.picture('Atlas', () => (state.atlas ? [state.atlas] : []));
  for (const name of ['Test image', 'Drawing']) python.picture(name, '.back');
  python.picture('Posterior', '.draw .draws canvas');
  python.picture('Drawn', '.law-draws canvas');
  wipe(t`draw here`);
  if (!page.draws) {
    $('.what').textContent = t`Take a test image`;
    $('.example').textContent = t`Another`;
    pad.hidden = $('.clear').hidden = true;
  }
  showSources($('.sources'), page.sources);
  trainingFilm(tab)(page.film);
  views([['one', t`the VAE`], ['pair', t`VAE and autoencoder`], ...(page.faces ? [['faces', t`Faces`]] : [])]);
  address.restore(() => {
    for (const name of ['a', 'b']) {
      const anchor = address.numbers(name, 2);
      if (anchor) setAnchor(name, anchor);
    }
    const z = address.numbers('z', 2);
    if (z) goTo(z);
    const prior = address.option('prior', ['normal', ...(state.law.length ? ['fitted'] : [])]);
    if (prior) {
      Object.assign(state, { prior, seed: address.count('seed', page.max_seed) ?? 0 });
      pressLaw(prior);
      showLaw();
    }
  });
  begin(async first => {
    stage.dataset.limit = first.limit;
    const { limit, points, z } = first;
    const law = first.law ?? [];
    const laws = [['', t`nothing`], ['normal', 'N(0, I)'], ...(law.length ? [['fitted', t`the fitted law`]] : [])];
    pressLaw = choices($('.law'), laws, '', prior => {
      state.prior = prior;
      showLaw();
    });
    $('.law-new').hidden = true;
    Object.assign(state, { law, limit, points, z, anchors: { a: first.anchors[0], b: first.anchors[1] } });
    if (points) legend($('.legend'), points, page.colours);
    else $('.show-dots').closest('label').hidden = $('.example').hidden = true;
    paintRaw(picture, first.picture, page.size, page.channels);
    python.set('Spot', first.picture_code);
    python.set('Line', first.line.code, false);
    python.set('Atlas', first.atlas_code, false);
    tell();
    state.atlas = await loadImage(first.atlas);
    await film.set(first.line.film);
    if (first.example) showPlaced({ ...first.example, focus: false });
    onResize(stage, () => {
      if (!stage.clientWidth) return;
      const narrow = element.clientWidth < 700;
      fitWidth(picture, page.size, 280, narrow ? 170 : 280);
      for (const name of ['.seen', '.back']) fitWidth($(name), page.size, 120, narrow ? 64 : 120);
      pad.style.width = pad.style.height = narrow ? '150px' : '168px';
      stage.width = stage.height = Math.round(stage.clientWidth * devicePixelRatio);
      paintGround();
    });
  });
}
