// Two maps, one cursor.
import { legend, showSources } from '../common/about.js';
import { codeAt, decoderInPage } from '../common/decoder.js';
import { clamp, make, onResize } from '../common/dom.js';
import { fitWidth, loadImage, paintBytes, paintRaw, penOf } from '../common/pictures.js';
import { byArrow, nearest, paintPlane, toCanvas, toPlane, within } from '../common/plane.js';
import { decimal, signed, significant, t, whole } from '../common/text.js';

const CIRCLE = 2;
/** @type {Record<string, string>} */
const NAMES = { map: t`VAE`, autoencoder: t`Autoencoder` };

/** @param {Tab} tab */
export default function pair({ $, element, latest, link, once, onFirstOpen, page, python, server }) {
  const address = link.view('pair');
  const twins = $('.twins');
  const state = { limit: 3, z: [0, 0] };
  /** @typedef {ReturnType<typeof twin>} Side */
  /** @type {Side[]} */
  let sides = [];
  /** @type {((z: number[]) => void) | null} */
  let decode = null;

  /**
   * @param {string} kind
   * @param {{name: string, size: number, channels: number, points: Points, picture: string}} data
   * @param {HTMLImageElement} atlas
   */
  function twin(kind, data, atlas) {
    const name = NAMES[kind];
    const stage = make('canvas', {
      className: 'twin-stage',
      tabIndex: 0,
      role: 'application',
      'aria-label': t`Latent map of: ${name}. Arrow keys move the ring on both maps, with Shift in small steps; both
        decode the same latent.`,
    });
    const picture = make('canvas', { className: 'twin-picture', role: 'img', 'aria-label': t`Decoded by: ${name}` });
    const where = make('output', { className: 'twin-where figures', 'aria-live': 'off' });
    const near = make('span', { className: 'twin-near note' });
    const spot = make('figure', { className: 'twin-spot' }, picture, make('figcaption', {}, where, near));
    const root = make(
      'section',
      { className: 'twin', 'aria-label': name },
      make('h2', {}, `${name} `, make('span', { className: 'note twin-name', textContent: data.name })),
      make('div', { className: 'twin-body' }, stage, spot),
    );
    root.dataset.kind = kind;
    const follow = (/** @type {PointerEvent} */ event) => moveTo(toPlane(stage, state.limit, event));
    stage.addEventListener('pointerdown', event => {
      stage.setPointerCapture(event.pointerId);
      follow(event);
    });
    stage.addEventListener('pointermove', follow);
    stage.addEventListener('keydown', event => {
      const z = byArrow(event, state.z, state.limit);
      if (!z) return;
      moveTo(z);
      event.preventDefault();
    });
    return { kind, root, stage, picture, where, near, ground: document.createElement('canvas'), data, atlas };
  }

  function paintGround(/** @type {Side} */ side) {
    const { stage, data, atlas } = side;
    const { width, height } = stage;
    const unit = width / stage.clientWidth;
    const dots = $('.show-twin-dots').checked;
    const radius = clamp(stage.clientWidth / 230, 1.2, 2.2) * unit;
    const { limit } = state;
    const what = { limit, atlas, points: dots ? data.points : null, radius, shade: 0.6, colours: page.colours };
    paintPlane(side.ground, stage, what, g => {
      if ($('.show-holes').checked) paintHoles(g, side);
      // Where most of what is drawn at random lies.
      g.beginPath();
      g.arc(width / 2, height / 2, (CIRCLE / limit / 2) * width, 0, 7);
      g.setLineDash([6 * unit, 5 * unit]);
      g.lineWidth = 1.5 * unit;
      g.strokeStyle = '#fff';
      g.stroke();
      g.setLineDash([]);
      g.lineWidth = 1;
    });
  }
  /**
   * All that is farther than the radius from every dot: a sheet with a disc cut out at each.
   * @param {CanvasRenderingContext2D} g @param {Side} side
   */
  function paintHoles(g, { stage, data }) {
    const { width, height } = stage;
    const { x, y } = data.points;
    const shade = make('canvas', { width, height });
    const s = penOf(shade);
    s.fillStyle = '#e8590c';
    s.fillRect(0, 0, width, height);
    s.globalCompositeOperation = 'destination-out';
    s.beginPath();
    const r = (page.radius / state.limit / 2) * width;
    for (let i = 0; i < x.length; i++) {
      const [px, py] = toCanvas(stage, state.limit, [x[i], y[i]]);
      s.moveTo(px + r, py);
      s.arc(px, py, r, 0, 7);
    }
    s.fill();
    g.globalAlpha = 0.38;
    g.drawImage(shade, 0, 0);
    g.globalAlpha = 1;
  }

  /** @param {Side} side */
  function paintSide({ stage, ground }) {
    const ink = penOf(stage);
    ink.drawImage(ground, 0, 0);
    ink.beginPath();
    ink.arc(...toCanvas(stage, state.limit, state.z), (page.radius / state.limit / 2) * stage.width, 0, 7);
    for (const [style, width] of Object.entries({ 'rgba(0, 0, 0, 0.8)': 5, '#fff': 2.5 })) {
      ink.lineWidth = (width * stage.width) / stage.clientWidth;
      ink.strokeStyle = style;
      ink.stroke();
    }
  }

  /** The distance to the nearest test image, which needs no network to judge. @param {Side} side */
  function measure({ data, near, where }) {
    const { distance, name } = nearest(data.points, state.z);
    const hole = distance > page.radius;
    const away = decimal(distance, 2);
    near.textContent = hole
      ? t`A hole: the nearest test image is ${away} away.`
      : t`A test image of class ${name} is ${away} away.`;
    near.classList.toggle('hole', hole);
    const comma = decimal(0.5, 1).includes(',') ? '; ' : ', ';
    where.textContent = `z = (${state.z.map(v => signed(v, '')).join(comma)})`;
  }

  /** @param {Point} z @param {string} code @param {(side: Side, i: number) => void} paint */
  function showBoth(z, code, paint) {
    sides.forEach(paint);
    python.set('Both', code);
    twins.dispatchEvent(new CustomEvent('decoded', { detail: { z, here: Boolean(decode) } }));
  }
  const askBoth = latest(server.decode_both, answer => {
    showBoth(answer.z, answer.code, ({ kind, picture, data }) => {
      paintRaw(picture, answer[kind], data.size, data.channels);
    });
  });
  // As on the map alone: small decoders come with the first move.
  const askHere = () => askBoth({ z: state.z });
  const begun = (/** @type {Answer} */ { layers, code }) => {
    if (!layers) return askHere();
    const run = sides.map(({ kind, data }) => decoderInPage(layers[kind], data.size, data.channels));
    decode = z =>
      showBoth(z, codeAt(code, z), ({ picture, data }, i) => paintBytes(picture, run[i](z), data.size, data.channels));
    decode(state.z);
  };
  const fetchDecoders = once(server.decoders, begun, askHere);

  function moveTo(/** @type {Point} */ z) {
    if (!sides.length) return;
    state.z = within(z, state.limit);
    address.set({ z: state.z });
    const coming = fetchDecoders();
    if (decode) decode(state.z);
    else if (!coming) askHere();
    sides.forEach(paintSide);
    sides.forEach(measure);
  }

  function fit() {
    for (const side of sides) {
      const { stage, picture, data } = side;
      if (!stage.clientWidth) return;
      fitWidth(picture, data.size, 140, element.clientWidth < 700 ? 112 : 140);
      stage.width = stage.height = Math.round(stage.clientWidth * devicePixelRatio);
      paintGround(side);
      paintSide(side);
    }
  }

  async function show(/** @type {Answer} */ first) {
    const kinds = Object.keys(NAMES);
    const atlases = await Promise.all(kinds.map(kind => loadImage(first[kind].atlas)));
    sides = kinds.map((kind, i) => twin(kind, first[kind], atlases[i]));
    Object.assign(state, { limit: first.limit, z: first.z });
    twins.append(...sides.map(({ root }) => root));
    for (const side of sides) {
      paintRaw(side.picture, side.data.picture, side.data.size, side.data.channels);
      measure(side);
    }
    legend($('.twin-legend'), first.map.points, page.colours);
    const share = (/** @type {string} */ kind) => `${Math.round(100 * first[kind].in_holes)}%`;
    const inCircle = Math.round(100 * (1 - Math.exp((-CIRCLE * CIRCLE) / 2)));
    $('.drawn').textContent = t`Of latents drawn from N(0, I), ${share('map')} fall into holes of the VAE's map and
      ${share('autoencoder')} into holes of the autoencoder's: spots with none of ${whole(first.map.points.total)} test
      images within ${significant(page.radius, 2)} of them, the ring's radius. The dashed circle |z| = ${CIRCLE} holds
      ${inCircle}% of what is drawn. The autoencoder's codes were shifted and scaled to mean 0 and covariance I, so the
      two maps have one scale.`;
    twins.dataset.limit = first.limit;
    python.set('Both', first.code);
    onResize(twins, fit);
    const wanted = address.numbers('z', 2);
    if (wanted) moveTo(wanted);
  }
  for (const box of ['.show-holes', '.show-twin-dots']) $(box).addEventListener('change', fit);
  const ask = latest(server.pair, show, message => {
    $('.twin-view .controls').hidden = true;
    $('.drawn').textContent = message;
  });
  for (const [title, sources] of page.pair) {
    const place = make('p', { className: 'note sources' });
    showSources(place, sources, title);
    $('.pair-sources').append(place);
  }
  python.picture('Both', '.twin-picture');
  onFirstOpen('pair', () => ask({}));
}
