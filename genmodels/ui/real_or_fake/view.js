import { showSources } from '../common/about.js';
import { choices, make, makeButton, median, onResize } from '../common/dom.js';
import { fitWidth, loadImage, neighbour, paintFrame, pictureOf } from '../common/pictures.js';
import { binned, plotOn } from '../common/plots.js';
import { signed, t, whole } from '../common/text.js';

const SIDES = ['real', 'generated'];
const BINS = 30;
// The room around the histograms, and the height of one and of the dots below it.
const ROOM = { left: 84, right: 12, panel: 74, dots: 22 };

/** @param {Tab} tab */
export default function realOrFake(tab) {
  const { $, $$, begin, controls, element, latest, link, notice, onOpen, page, parts, python, quietly, server, views } =
    tab;
  const state = { kind: page.kinds[0].kind, seed: 7, side: 'generated', image: 0 };
  /** The answer on show. @type {Record<string, any>} */
  let shown = {};
  /** Those to many images, by kind. @type {Record<string, Answer>} */
  const histograms = {};
  const address = link.view('sides', { side: 'generated', image: 0 });
  const [large, plot] = ['.large', '.plot'].map(name => $(name));
  const hideSides = (/** @type {boolean} */ hidden) => {
    $('.sides').hidden = $('.scale').hidden = hidden;
  };

  const compared = async (/** @type {Answer} */ answer) => {
    await showCompare(answer);
    if (answer.real) near();
  };
  const askCompare = latest(server.compare, compared, message => {
    notice(message, true);
    hideSides(true);
  });
  const askNear = latest(server.neighbours, showNear, message => {
    $('.method').textContent = message;
  });
  /** What an image is: its side, its class and its score. @param {string} side @param {number} index */
  const named = (side, index) => {
    const { labels, scores } = shown[side];
    const name = side === 'real' ? t`Real image ${index + 1}` : t`Generated image ${index + 1}`;
    const what = labels ? `, ${t`class ${labels[index]}`}` : '';
    return `${name}${what}, ${t`score ${signed(scores[index])}`}`;
  };

  async function showCompare(/** @type {any} */ answer) {
    hideSides(false);
    shown = answer;
    const { generated, kind, real, size } = answer;
    const all = [...generated.scores, ...(real ? real.scores : [])];
    const low = Math.min(...all);
    const span = Math.max(...all) - low || 1;
    for (const side of SIDES) {
      const part = answer[side];
      $(`.side.${side}`).hidden = !part;
      if (!part) continue;
      const sheet = await loadImage(part.sheet);
      const tiles = part.scores.map((/** @type {number} */ score, /** @type {number} */ i) => {
        const style = `width: ${Math.round((100 * (score - low)) / span)}%`;
        return makeButton(
          { 'aria-label': named(side, i) },
          () => choose(side, i),
          pictureOf(sheet, i, page.columns, size),
          make('span', { className: 'bar' }, make('i', { style })),
          make('span', { className: 'score' }, signed(score)),
        );
      });
      $(`.${side} .tiles`).replaceChildren(...tiles);
    }
    const { built_in, sources } = page.kinds.find((/** @type {{kind: string}} */ one) => one.kind === kind);
    showSources($('.sources'), sources);
    const about = real && [
      t([real.title]),
      t`test split`,
      built_in ? '' : t`from this package`,
      real.unchanged ? '' : t`made to fit`,
    ];
    $('.about').textContent = about ? about.filter(Boolean).join(', ') : '';
    $('.near').hidden = !real;
    if (!real) python.drop('Nearest');
    python.set('Scores', answer.code);
    tellScores();
    if (!histograms[kind]) askHistogram({ kind });
    press();
    fit();
  }

  /** @param {any} answer @param {{payload: Record<string, any>, extra?: boolean}} job */
  async function showNear(answer, job) {
    const sheet = await loadImage(answer.sheet);
    // What belongs to images that are gone is not shown; that of the new ones is on its way.
    if (Object.entries(wanted()).some(([name, value]) => value !== job.payload[name])) return;
    const { size } = shown;
    const columns = page.neighbours + 1;
    paintFrame(large, sheet, 0, columns, size);
    $('.chosen').textContent = named(answer.side, answer.index);
    const figures = answer.distances.map((/** @type {number} */ distance, /** @type {number} */ i) => {
      const name = answer.labels ? [make('br'), t`class ${answer.labels[i]}`] : [];
      return neighbour(sheet, i + 1, columns, size, distance, undefined, ...name);
    });
    $('.near .found').replaceChildren(...figures);
    python.set('Nearest', answer.code, job.extra ?? false);
    $('.method').textContent =
      t`Out of ${whole(answer.total)} training images. The distance is that of the pixels, root mean square: 0 for the
        same image, 1 for black against white.`;
    fit();
  }
  /** @param {string} side @param {number} image */
  function choose(side, image) {
    Object.assign(state, { side, image });
    remember();
    press();
    near(true);
  }
  const wanted = () => ({ kind: shown.kind, seed: shown.seed, side: state.side, index: state.image });
  // `chosen`: whether an image was, or only their seed.
  const near = (chosen = false) => askNear(wanted(), chosen);
  function press() {
    for (const side of SIDES) {
      $$(`.${side} .tiles > *`).forEach((tile, i) => {
        tile.setAttribute('aria-pressed', String(state.side === side && state.image === i));
      });
    }
  }
  function remember() {
    const { image, kind, seed, side } = state;
    link.set({ model: kind });
    address.set({ seed, side, image });
  }
  function draw() {
    remember();
    askCompare({ kind: state.kind, seed: state.seed });
  }

  // A histogram for each side, one above the other on one axis, and below each the images on show as dots.
  function paintPlot() {
    if (shown.kind !== state.kind) return;
    const many = histograms[state.kind];
    const sides = SIDES.filter(side => shown[side]);
    if (plot.clientWidth) plot.style.height = `${sides.length * (ROOM.panel + ROOM.dots) + 38}px`;
    const drawing = plotOn(plot);
    if (!drawing) return;
    const { c, width, height, font, colour, write, line } = drawing;
    const all = sides.flatMap(side => [...shown[side].scores, ...(many?.[side] ?? [])]);
    const low = Math.min(...all);
    const span = Math.max(...all) - low || 1;
    const right = width - ROOM.right;
    const at = (/** @type {number} */ score) => ROOM.left + ((score - low) / span) * (right - ROOM.left);
    const counts = sides.map(side => binned(many?.[side] ?? [], low, span, BINS));
    const most = Math.max(...counts.flat()) || 1;
    const wide = (right - ROOM.left) / BINS;
    c.textBaseline = 'middle';
    sides.forEach((side, n) => {
      const base = 8 + (n + 1) * ROOM.panel + n * ROOM.dots;
      c.font = `700 14px ${font}`;
      c.fillStyle = colour('color');
      write(side === 'real' ? t`real` : t`generated`, 0, base - ROOM.panel / 2);
      c.fillStyle = colour(`--${side}`);
      counts[n].forEach((share, i) => c.fillRect(ROOM.left + i * wide, base, wide - 1, (-share / most) * ROOM.panel));
      c.globalAlpha = 0.6;
      for (const score of shown[side].scores) {
        c.beginPath();
        c.arc(at(score), base + 9, 5, 0, 7);
        c.fill();
      }
      c.globalAlpha = 1;
      c.strokeStyle = colour('--quiet');
      line([ROOM.left, base + 0.5], [right, base + 0.5]);
    });
    c.fillStyle = colour('--quiet');
    c.font = `13px ${font}`;
    const middle = low + span / 2;
    for (const [score, align] of /** @type {const} */ ([
      [low, 'left'],
      [middle, 'center'],
      [low + span, 'right'],
    ])) {
      write(signed(score), at(score), height - 26, align);
    }
    write(t`score, from less to more real`, at(middle), height - 8, 'center');
  }
  // What the histograms say, in words.
  function tellScores() {
    const many = histograms[state.kind];
    if (!shown.real) {
      $('.ranked').textContent = t`The package has no real images of this kind, so only generated ones are scored.`;
    } else if (!many) $('.ranked').textContent = t`More images are being scored.`;
    else {
      const percent = Math.round(100 * many.ranked);
      $('.ranked').textContent =
        t`Bars: ${many.real.length} test images and ${many.generated.length} generated ones; dots: the images above.
          P(D(x) > D(G(z))) = ${percent}%: in so many of all pairs of one real and one generated image the discriminator
          scores the real one higher; 50% would mean that it cannot tell them apart. What counts is the difference
          between two scores, not their sign.`;
    }
    if (many?.real) {
      const [real, generated] = SIDES.map(side => signed(median(many[side])));
      plot.setAttribute(
        'aria-label',
        t`Histograms of scores: median ${real} of real images, ${generated} of generated ones`,
      );
    }
    if (many) python.set('Histogram', many.code, false);
    paintPlot();
  }
  const askHistogram = quietly(server.histogram, answer => {
    histograms[answer.kind] = answer;
    if (answer.kind === shown.kind) tellScores();
  });
  function fit() {
    if (!element.clientWidth || !shown.kind) return;
    const { size } = shown;
    const narrow = element.clientWidth < 640;
    const tile = narrow ? Math.floor((element.clientWidth - 24) / 4) : 72;
    for (const canvas of $$('.tiles canvas')) fitWidth(canvas, size, tile);
    fitWidth(large, size, 128);
    for (const canvas of $$('.near .found canvas')) fitWidth(canvas, size, (element.clientWidth - 36) / 5, 64);
    paintPlot();
  }

  const menus = controls('', state, draw);
  // Alone on a page, the tab is painted before its font has come.
  document.fonts.ready.then(paintPlot);

  // Both sides' rows beside each other, or the one side that there is.
  const pictures = () => {
    const sides = SIDES.filter(side => shown[side]).map(side => $$(`.side.${side} canvas`));
    const rows = Array.from({ length: Math.ceil(sides[0].length / page.columns) }, (_, i) => i * page.columns);
    return rows.flatMap(start => sides.flatMap(side => side.slice(start, start + page.columns)));
  };
  python.picture('Scores', pictures, () => page.columns * (shown.real ? 2 : 1));
  python.picture('Nearest', '.near canvas');
  begin(async first => {
    /** @type {string[][]} */
    const kinds = page.kinds.map((/** @type {Record<string, string>} */ { kind, title }) => [kind, title]);
    const known = kinds.map(([kind]) => kind);
    state.kind = known.find(kind => first[kind]?.compare) ?? known[0];
    const pressKind = choices($('.kind'), kinds, state.kind, kind => {
      state.kind = kind;
      parts.game.play(kind);
      draw();
    });
    // Without real images there is nothing to guess.
    const { compare, game, neighbours } = first[state.kind];
    views([
      ...(game ? [['game', t`Game`]] : []),
      ['sides', t`Side by side`],
      ...(page.numbers.rows.length ? [['numbers', t`Numbers`]] : []),
    ]);
    if (game) parts.game.play(state.kind, game);
    onOpen('sides', fit);
    link.restore(() => {
      const model = link.option('model', known);
      if (model !== null) {
        pressKind(model);
        state.kind = model;
        parts.game.play(model);
      }
      menus.restore(address);
      const { generated, kind, seed } = shown;
      const side = address.option('side', ['real', 'generated']) ?? 'generated';
      const image = address.count('image', generated.scores.length - 1) ?? 0;
      Object.assign(state, { side, image });
      if (state.kind !== kind || state.seed !== seed) draw();
      else if (shown[side] && (side === 'real' || image)) choose(side, image);
    });
    for (const kind of known) if (first[kind]?.histogram) histograms[kind] = first[kind].histogram;
    state.seed = compare.seed;
    menus.write();
    await showCompare(compare);
    if (neighbours) await showNear(neighbours, { payload: wanted() });
    onResize(element, fit);
  });
}
