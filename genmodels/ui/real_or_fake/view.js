const state = { kind: page.kinds[0].kind, seed: 7, shown: null, chosen: ['generated', 0], histograms: {} };
const address = link.view('sides', { side: 'generated', image: 0 }), seed = $('.seed'), large = $('.large'), plot = $('.plot');
seed.max = page.max_seed;

const askCompare = latest(server.compare, async answer => { await showCompare(answer); if (answer.real) near(); }, message => {
  notice(message, true);
  $('.sides').hidden = $('.scale').hidden = true;
});
const askNear = latest(server.neighbours, showNear, message => { $('.method').textContent = message; });

async function showCompare(answer) {
  $('.sides').hidden = $('.scale').hidden = false;
  state.shown = answer;
  const all = [...answer.generated.scores, ...(answer.real ? answer.real.scores : [])];
  const low = Math.min(...all), high = Math.max(...all);
  for (const side of ['real', 'generated']) {
    const part = answer[side], tiles = $(`.${side} .tiles`);
    $(`.side.${side}`).hidden = !part;
    if (!part) continue;
    const sheet = await loadImage(part.sheet);
    tiles.replaceChildren(...part.scores.map((score, i) => {
      const tile = document.createElement('button'), picture = document.createElement('canvas'), bar = document.createElement('span'), fill = document.createElement('i'), label = document.createElement('span');
      tile.type = 'button';
      paintFrame(picture, sheet, i, page.columns, answer.size);
      bar.className = 'bar';
      fill.style.width = `${Math.round(100 * (score - low) / (high - low || 1))}%`;
      bar.append(fill);
      label.className = 'score';
      label.textContent = signed(score);
      const what = part.labels ? `, ${t`class ${part.labels[i]}`}` : '';
      tile.setAttribute('aria-label', `${side === 'real' ? t`Real image ${i + 1}` : t`Generated image ${i + 1}`}${what}, ${t`score ${signed(score)}`}`);
      tile.append(picture, bar, label);
      tile.addEventListener('click', () => choose(side, i));
      return tile;
    }));
  }
  const { built_in, sources } = page.kinds.find(({ kind }) => kind === answer.kind), own = !built_in;
  showSources(sources);
  $('.about').textContent = answer.real ? `${t([answer.real.title])}, ${t`test split`}${own ? `, ${t`from this package`}` : ''}${answer.real.unchanged ? '' : `, ${t`made to fit`}`}` : '';
  $('.near').hidden = !answer.real;
  if (!answer.real) python.drop('Nearest');
  python.set('Scores', answer.code);
  tellScores();
  if (!state.histograms[answer.kind]) askHistogram({ kind: answer.kind });
  press();
  fit();
}

async function showNear(answer, job) {
  const sheet = await loadImage(answer.sheet), now = wanted();
  // What belongs to images that are gone is not shown; that of the new ones is on its way.
  if (Object.keys(now).some(name => now[name] !== job.payload[name])) return;
  const size = state.shown.size, columns = page.neighbours + 1;
  paintFrame(large, sheet, 0, columns, size);
  const score = state.shown[answer.side].scores[answer.index], labels = state.shown[answer.side].labels;
  $('.chosen').textContent = `${answer.side === 'real' ? t`Real image ${answer.index + 1}` : t`Generated image ${answer.index + 1}`}${labels ? `, ${t`class ${labels[answer.index]}`}` : ''}, ${t`score ${signed(score)}`}`;
  $('.near .found').replaceChildren(...answer.distances.map((distance, i) => {
    const figure = document.createElement('figure'), picture = document.createElement('canvas'), caption = document.createElement('figcaption');
    paintFrame(picture, sheet, i + 1, columns, size);
    picture.setAttribute('role', 'img');
    picture.setAttribute('aria-label', t`Training image, distance ${decimal(distance, 3)}`);
    caption.textContent = decimal(distance, 3);
    if (answer.labels) caption.append(document.createElement('br'), t`class ${answer.labels[i]}`);
    figure.append(picture, caption);
    return figure;
  }));
  python.set('Nearest', answer.code, job?.extra ?? false);
  $('.method').textContent = t`Out of ${answer.total.toLocaleString(LANGUAGE)} training images. The distance is that of the pixels, root mean square: 0 for the same image, 1 for black against white.`;
  fit();
}
function choose(side, index) {
  state.chosen = [side, index];
  remember();
  press();
  near(true);
}
const wanted = () => ({ kind: state.shown.kind, seed: state.shown.seed, side: state.chosen[0], index: state.chosen[1] });
// `chosen`: whether an image was, or only their seed.
const near = chosen => askNear(wanted(), chosen);
function press() {
  for (const side of ['real', 'generated']) {
    [...$(`.${side} .tiles`).children].forEach((tile, i) => tile.setAttribute('aria-pressed', String(state.chosen[0] === side && state.chosen[1] === i)));
  }
}
function remember() {
  link.set({ model: state.kind });
  address.set({ seed: state.seed, side: state.chosen[0], image: state.chosen[1] });
}
function draw() {
  remember();
  askCompare({ kind: state.kind, seed: state.seed });
}

// A histogram for each side, one above the other on one axis, and below each the images on show as dots.
const BINS = 30, PLOT = { left: 84, right: 12, panel: 74, dots: 22 };
function paintPlot() {
  const width = plot.clientWidth, ratio = devicePixelRatio, answer = state.shown, many = state.histograms[state.kind];
  if (!width || !answer || answer.kind !== state.kind) return;
  const sides = [['real', t`real`], ['generated', t`generated`]].filter(([side]) => answer[side]), height = sides.length * (PLOT.panel + PLOT.dots) + 38;
  plot.style.height = `${height}px`;
  plot.width = width * ratio;
  plot.height = height * ratio;
  const c = plot.getContext('2d'), style = getComputedStyle(element);
  c.scale(ratio, ratio);
  const all = sides.flatMap(([side]) => [...answer[side].scores, ...(many?.[side] ?? [])]);
  const low = Math.min(...all), span = Math.max(...all) - low || 1, right = width - PLOT.right;
  const at = score => PLOT.left + (score - low) / span * (right - PLOT.left);
  const counts = sides.map(([side]) => {
    const bins = Array(BINS).fill(0);
    for (const score of many?.[side] ?? []) bins[Math.min(BINS - 1, Math.floor((score - low) / span * BINS))] += 1 / many[side].length;
    return bins;
  });
  const most = Math.max(...counts.flat()) || 1, wide = (right - PLOT.left) / BINS;
  c.textBaseline = 'middle';
  sides.forEach(([side, title], n) => {
    const base = 8 + (n + 1) * PLOT.panel + n * PLOT.dots;
    c.font = `700 14px ${style.fontFamily}`;
    c.fillStyle = style.getPropertyValue('color');
    c.fillText(title, 0, base - PLOT.panel / 2);
    c.fillStyle = style.getPropertyValue(`--${side}`);
    counts[n].forEach((share, i) => c.fillRect(PLOT.left + i * wide, base, wide - 1, -share / most * PLOT.panel));
    c.globalAlpha = 0.6;
    for (const score of answer[side].scores) { c.beginPath(); c.arc(at(score), base + 9, 5, 0, 7); c.fill(); }
    c.globalAlpha = 1;
    c.strokeStyle = style.getPropertyValue('--quiet');
    c.beginPath(); c.moveTo(PLOT.left, base + 0.5); c.lineTo(right, base + 0.5); c.stroke();
  });
  c.fillStyle = style.getPropertyValue('--quiet');
  c.font = `13px ${style.fontFamily}`;
  for (const [score, align] of [[low, 'left'], [low + span / 2, 'center'], [low + span, 'right']]) {
    c.textAlign = align;
    c.fillText(signed(score), at(score), height - 26);
  }
  c.textAlign = 'center';
  c.fillText(t`score, from less to more real`, at(low + span / 2), height - 8);
}
// What the histograms say, in words.
function tellScores() {
  const many = state.histograms[state.kind], { real } = state.shown;
  $('.ranked').textContent = !real
    ? t`The package has no real images of this kind, so only generated ones are scored.`
    : !many
      ? t`More images are being scored.`
      : t`Bars: ${many.real.length} test images and ${many.generated.length} generated ones; dots: the images above. P(D(x) > D(G(z))) = ${Math.round(100 * many.ranked)}%: in so many of all pairs of one real and one generated image the discriminator scores the real one higher; 50% would mean that it cannot tell them apart. What counts is the difference between two scores, not their sign.`;
  const middle = scores => signed([...scores].sort((a, b) => a - b)[Math.floor((scores.length - 1) / 2)]);
  if (many?.real) plot.setAttribute('aria-label', t`Histograms of scores: median ${middle(many.real)} of real images, ${middle(many.generated)} of generated ones`);
  if (many) python.set('Histogram', many.code, false);
  paintPlot();
}
const askHistogram = latest(server.histogram, answer => {
  state.histograms[answer.kind] = answer;
  if (answer.kind === state.shown.kind) tellScores();
}, () => {}, () => {});
function fit() {
  if (!element.clientWidth || !state.shown) return;
  const size = state.shown.size, narrow = element.clientWidth < 640;
  const tile = narrow ? Math.floor((element.clientWidth - 24) / 4) : 72;
  element.querySelectorAll('.tiles canvas').forEach(canvas => { canvas.style.width = `${wholeMultiple(size, tile, tile)}px`; });
  large.style.width = `${wholeMultiple(size, 128, 128)}px`;
  element.querySelectorAll('.near .found canvas').forEach(canvas => { canvas.style.width = `${wholeMultiple(size, (element.clientWidth - 36) / 5, 64)}px`; });
  paintPlot();
}

const restoreControls = controls(state, draw);
// Alone on a page, the tab is painted before its font has come.
document.fonts.ready.then(paintPlot);

// Both sides' rows beside each other, or the one side that there is.
python.picture('Scores', () => {
  const sides = ['real', 'generated'].filter(side => state.shown[side]).map(side => [...element.querySelectorAll(`.side.${side} canvas`)]);
  const rows = Array.from({ length: Math.ceil(sides[0].length / page.columns) }, (_, i) => i * page.columns);
  return rows.flatMap(start => sides.flatMap(side => side.slice(start, start + page.columns)));
}, () => page.columns * (state.shown.real ? 2 : 1));
python.picture('Nearest', '.near canvas');
begin(async first => {
  const firstOf = kind => first[kind] && first[kind].compare;
  state.kind = (page.kinds.find(({ kind }) => firstOf(kind)) || page.kinds[0]).kind;
  const pressKind = choices($('.kind'), page.kinds.map(({ kind, title }) => [kind, title]), state.kind, kind => { state.kind = kind; opened.kind(kind); draw(); });
  // Without real images there is nothing to guess.
  const { game } = first[state.kind];
  views([...(game ? [['game', t`Game`]] : []), ['sides', t`Side by side`], ...(page.numbers.rows.length ? [['numbers', t`Numbers`]] : [])]);
  if (game) opened.kind(state.kind, game);
  opened.sides = fit;
  link.restore(() => {
    const wanted = link.get('model');
    if (page.kinds.some(({ kind }) => kind === wanted)) {
      pressKind(wanted);
      state.kind = wanted;
      opened.kind(wanted);
    }
    restoreControls(address);
    const [side, index] = state.chosen = [address.get('side') === 'real' ? 'real' : 'generated', address.count('image', state.shown.generated.scores.length - 1) ?? 0];
    if (state.kind !== state.shown.kind || state.seed !== state.shown.seed) draw();
    else if (state.shown[side] && (side === 'real' || index)) choose(side, index);
  });
  for (const [kind, { histogram }] of Object.entries(first)) if (histogram) state.histograms[kind] = histogram;
  const part = first[state.kind];
  state.seed = part.compare.seed;
  seed.value = state.seed;
  await showCompare(part.compare);
  if (part.neighbours) await showNear(part.neighbours, { payload: wanted() });
  onResize(element, fit);
});
