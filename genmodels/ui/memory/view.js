// Two histograms on one axis, and the images in the left tail.
const BINS = 40;
const memory = { kind: page.kinds[0]?.[0], seed: 0, shown: null, asked: false };
const address = link.view('memory', { model: memory.kind, seed: memory.seed });
const plotted = $('.memory-plot');
// The lower of two in the middle, as torch has it.
const median = values => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

function paintMemory() {
  const { shown } = memory, width = plotted.clientWidth, height = plotted.clientHeight, ratio = devicePixelRatio;
  if (!shown || !width) return;
  plotted.width = width * ratio;
  plotted.height = height * ratio;
  const c = plotted.getContext('2d'), style = getComputedStyle(element), left = 12, bottom = 24, top = 10;
  c.scale(ratio, ratio);
  const high = 1.05 * Math.max(...shown.generated, ...shown.test);
  const x = v => left + v / high * (width - 2 * left);
  const counts = side => {
    const bins = Array(BINS).fill(0);
    for (const v of shown[side]) bins[Math.min(BINS - 1, Math.floor(v / high * BINS))] += 1 / shown[side].length;
    return bins;
  };
  const sides = [['test', '--real'], ['generated', '--generated']].map(([side, colour]) => ({ side, colour: style.getPropertyValue(colour), bins: counts(side) }));
  const most = Math.max(...sides.flatMap(({ bins }) => bins));
  for (const { bins, colour, side } of sides) {
    c.fillStyle = c.strokeStyle = colour;
    c.globalAlpha = 0.35;
    c.beginPath();
    c.moveTo(x(0), height - bottom);
    bins.forEach((share, i) => {
      const y = height - bottom - share / most * (height - top - bottom);
      c.lineTo(x(i / BINS * high), y);
      c.lineTo(x((i + 1) / BINS * high), y);
    });
    c.lineTo(x(high), height - bottom);
    c.fill();
    c.globalAlpha = 1;
    c.lineWidth = 1.5;
    c.stroke();
    c.lineWidth = 2;
    c.setLineDash([5, 4]);
    c.beginPath();
    c.moveTo(x(median(shown[side])), top);
    c.lineTo(x(median(shown[side])), height - bottom);
    c.stroke();
    c.setLineDash([]);
  }
  c.fillStyle = style.getPropertyValue('--quiet');
  c.font = `12px ${style.fontFamily}`;
  c.textBaseline = 'bottom';
  c.textAlign = 'left'; c.fillText(t`0: a copy`, left, height - 4);
  c.textAlign = 'right'; c.fillText(t`distance ${decimal(high, 2)}`, width - left, height - 4);
}

const askMemory = latest(server.memorised, async answer => {
  const sheet = await loadImage(answer.sheet), across = answer.distances[0].length + 1;
  memory.shown = answer;
  const [ours, theirs] = [median(answer.generated), median(answer.test)], nearer = answer.generated.filter(v => v < Math.min(...answer.test)).length;
  $('.memory-words').textContent = t`Median distance to the nearest of ${answer.train.toLocaleString(LANGUAGE)} training images: ${decimal(ours, 3)} of ${answer.generated.length} generated images, ${decimal(theirs, 3)} of ${answer.test.length} test images. ${nearer} of the generated ones come nearer than every test image. Distances are those of the pixels, root mean square: 0 for the same image, 1 for black against white.`;
  plotted.setAttribute('aria-label', t`Distances to the nearest training image: median ${decimal(ours, 3)} of generated, ${decimal(theirs, 3)} of test images`);
  $('.memory-rows').replaceChildren(...answer.distances.map((distances, row) => {
    const strip = document.createElement('div');
    strip.className = 'memory-row';
    strip.append(...[null, ...distances].map((distance, i) => {
      const figure = document.createElement('figure'), canvas = document.createElement('canvas'), caption = document.createElement('figcaption');
      paintFrame(canvas, sheet, row * across + i, across, answer.size);
      canvas.style.width = `${wholeMultiple(answer.size, i ? 48 : 64, i ? 48 : 64)}px`;
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', i ? t`Training image, distance ${decimal(distance, 3)}` : t`Generated image ${row + 1}`);
      caption.textContent = i ? decimal(distance, 3) : t`generated`;
      figure.append(canvas, caption);
      return figure;
    }));
    return strip;
  }));
  showSources(page.sources[answer.kind], $('.memory-sources'));
  python.set('By heart?', answer.code, plotted.clientWidth > 0);
  paintMemory();
}, message => { $('.memory-words').textContent = message; });
function look() {
  address.set({ model: memory.kind, seed: memory.seed });
  askMemory({ kind: memory.kind, seed: memory.seed });
}
const pressKind = choices($('.memory-kind'), page.kinds, memory.kind, kind => { memory.kind = kind; look(); });
$('.memory-new').addEventListener('click', () => { memory.seed = Math.floor(Math.random() * 100000); look(); });
opened.memory = () => {
  if (memory.asked) return;
  memory.asked = true;
  if (page.kinds.some(([kind]) => kind === address.get('model'))) memory.kind = address.get('model');
  pressKind(memory.kind);
  memory.seed = address.count('seed', page.max_seed) ?? memory.seed;
  look();
};
python.picture('By heart?', '.memory-rows canvas', () => memory.shown.distances[0].length + 1);
onResize(plotted, paintMemory);
