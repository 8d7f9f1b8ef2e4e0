// Two histograms on one axis, and the images in the left tail.
import { showSources } from '../common/about.js';
import { choices, make, median, newSeed, onResize } from '../common/dom.js';
import { captioned, loadImage, neighbour } from '../common/pictures.js';
import { binned, plotOn } from '../common/plots.js';
import { decimal, t, whole } from '../common/text.js';

const BINS = 40;

/** @param {Tab} tab */
export default function memory({ $, latest, link, onFirstOpen, page, python, server }) {
  const state = { kind: page.kinds[0]?.[0], seed: 0 };
  /** @type {Answer | null} */
  let shown = null;
  const address = link.view('memory', { model: state.kind, seed: 0 });
  const canvas = $('.memory-plot');

  function paint() {
    const plot = plotOn(canvas);
    if (!shown || !plot) return;
    /** @type {number[][]} */
    const values = [shown.test, shown.generated];
    const { c, width, height, font, colour, write, line } = plot;
    const [left, bottom, top] = [12, 24, 10];
    const base = height - bottom;
    const high = 1.05 * Math.max(...values.flat());
    const x = (/** @type {number} */ v) => left + (v / high) * (width - 2 * left);
    const bins = values.map(side => binned(side, 0, high, BINS));
    const most = Math.max(...bins.flat());
    ['--real', '--generated'].forEach((name, n) => {
      c.fillStyle = c.strokeStyle = colour(name);
      c.globalAlpha = 0.35;
      c.beginPath();
      c.moveTo(x(0), base);
      bins[n].forEach((share, i) => {
        const y = base - (share / most) * (base - top);
        c.lineTo(x((i / BINS) * high), y);
        c.lineTo(x(((i + 1) / BINS) * high), y);
      });
      c.lineTo(x(high), base);
      c.fill();
      c.globalAlpha = 1;
      c.lineWidth = 1.5;
      c.stroke();
      c.lineWidth = 2;
      c.setLineDash([5, 4]);
      const middle = x(median(values[n]));
      line([middle, top], [middle, base]);
      c.setLineDash([]);
    });
    c.fillStyle = colour('--quiet');
    c.font = `12px ${font}`;
    c.textBaseline = 'bottom';
    write(t`0: a copy`, left, height - 4);
    write(t`distance ${decimal(high, 2)}`, width - left, height - 4, 'right');
  }

  const show = async (/** @type {Answer} */ answer) => {
    const sheet = await loadImage(answer.sheet);
    const { generated, test, size } = answer;
    /** @type {number[][]} */
    const distances = answer.distances;
    const across = distances[0].length + 1;
    shown = answer;
    const [ours, theirs] = [generated, test].map(values => decimal(median(values), 3));
    const nearer = generated.filter((/** @type {number} */ v) => v < Math.min(...test)).length;
    $('.memory-words').textContent =
      t`Median distance to the nearest of ${whole(answer.train)} training images: ${ours} of ${generated.length}
        generated images, ${theirs} of ${test.length} test images. ${nearer} of the generated ones come nearer than
        every test image. Distances are those of the pixels, root mean square: 0 for the same image, 1 for black against
        white.`;
    canvas.setAttribute(
      'aria-label',
      t`Distances to the nearest training image: median ${ours} of generated, ${theirs} of test images`,
    );
    const rows = distances.map((found, row) => {
      const label = t`Generated image ${row + 1}`;
      const first = captioned(sheet, row * across, across, size, { width: 64, label }, t`generated`);
      const others = found.map((distance, i) => neighbour(sheet, row * across + i + 1, across, size, distance, 48));
      return make('div', { className: 'memory-row' }, first, ...others);
    });
    $('.memory-rows').replaceChildren(...rows);
    showSources($('.memory-sources'), page.sources[answer.kind]);
    python.set('By heart?', answer.code, canvas.clientWidth > 0);
    paint();
  };
  const ask = latest(server.memorised, show, message => {
    $('.memory-words').textContent = message;
  });
  function look() {
    const { kind, seed } = state;
    address.set({ model: kind, seed });
    ask({ kind, seed });
  }
  const press = choices($('.memory-kind'), page.kinds, state.kind, kind => {
    state.kind = kind;
    look();
  });
  $('.memory-new').addEventListener('click', () => {
    state.seed = newSeed();
    look();
  });
  onFirstOpen('memory', () => {
    const kinds = page.kinds.map((/** @type {string[]} */ [kind]) => kind);
    state.kind = address.option('model', kinds) ?? state.kind;
    press(state.kind);
    state.seed = address.count('seed', page.max_seed) ?? 0;
    look();
  });
  python.picture('By heart?', '.memory-rows canvas', () => shown?.distances[0].length + 1);
  onResize(canvas, paint);
}
