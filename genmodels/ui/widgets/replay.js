// Film and losses of one training under one slider.
const COLOURS = ['--accent', '--generated', '--real', '--bad'];
const NAMES = {
  loss: 'loss', loss_d: 'discriminator', loss_g: 'generator', wasserstein_estimate: 'estimated Wasserstein distance',
};
const replay = { shown: null, sheet: null, asked: false };
const film = $('.replay-film'), curves = $('.replay-losses'), slider = $('.replay-step');
const LEFT = 44, RIGHT = 8, TOP = 8, BOTTOM = 22;
const lossesOf = shown => Object.keys(shown.curves).filter(name => name !== 'step');
const lastStep = shown => Math.max(shown.steps.at(-1), shown.curves.step.at(-1));

function paintFilm() {
  const { shown, sheet } = replay, i = +slider.value;
  if (!shown) return;
  Object.assign(film, { width: shown.width, height: shown.height });
  film.getContext('2d').drawImage(sheet, i % shown.columns * shown.width, Math.floor(i / shown.columns) * shown.height, shown.width, shown.height, 0, 0, shown.width, shown.height);
  const text = `step ${shown.steps[i].toLocaleString('en')} of ${shown.steps.at(-1).toLocaleString('en')}`;
  $('.replay-at').textContent = text;
  slider.setAttribute('aria-valuetext', text);
  film.setAttribute('aria-label', `${shown.title}: the same latents at ${text}`);
}

function paintCurves() {
  const { shown } = replay, width = curves.clientWidth, height = curves.clientHeight, ratio = devicePixelRatio;
  if (!shown || !width) return;
  curves.width = width * ratio;
  curves.height = height * ratio;
  const c = curves.getContext('2d'), style = getComputedStyle(element), names = lossesOf(shown), steps = shown.curves.step;
  c.scale(ratio, ratio);
  const values = names.flatMap(name => shown.curves[name]).filter(v => v !== null).sort((a, b) => a - b);
  const at = share => values[Math.min(values.length - 1, Math.floor(share * values.length))];
  const low = Math.min(0, at(0.01)), high = Math.max(at(0.98), low + 1e-3);
  const x = step => LEFT + step / lastStep(shown) * (width - LEFT - RIGHT), y = v => TOP + (high - clamp(v, low, high)) / (high - low) * (height - TOP - BOTTOM);
  c.font = `12px ${style.fontFamily}`;
  c.fillStyle = style.getPropertyValue('--quiet');
  c.strokeStyle = style.getPropertyValue('--line');
  for (const v of [low, (low + high) / 2, high]) {
    c.beginPath(); c.moveTo(LEFT, y(v)); c.lineTo(width - RIGHT, y(v)); c.stroke();
    c.textAlign = 'right'; c.textBaseline = 'middle';
    c.fillText(+v.toPrecision(2), LEFT - 6, y(v));
  }
  c.textBaseline = 'bottom';
  c.textAlign = 'left'; c.fillText('0', LEFT, height - 2);
  c.textAlign = 'right'; c.fillText(`step ${lastStep(shown).toLocaleString('en')}`, width - RIGHT, height - 2);
  names.forEach((name, n) => {
    c.strokeStyle = style.getPropertyValue(COLOURS[n % COLOURS.length]);
    c.lineWidth = 1.3;
    c.beginPath();
    let drawing = false;
    shown.curves[name].forEach((v, i) => {
      if (v === null) return;
      c[drawing ? 'lineTo' : 'moveTo'](x(steps[i]), y(v));
      drawing = true;
    });
    c.stroke();
  });
  const now = shown.steps[+slider.value];
  c.strokeStyle = style.getPropertyValue('--ink');
  c.lineWidth = 1.5;
  c.beginPath(); c.moveTo(x(now), TOP); c.lineTo(x(now), height - BOTTOM); c.stroke();
  const index = Math.max(0, steps.findLastIndex(step => step <= now));
  $('.replay-names').replaceChildren(...names.map((name, n) => {
    const entry = document.createElement('span'), dot = document.createElement('i'), v = shown.curves[name][index];
    dot.className = 'swatch';
    dot.style.background = `var(${COLOURS[n % COLOURS.length]})`;
    entry.append(dot, `${NAMES[name] ?? name.replaceAll('_', ' ')} ${v === null ? '–' : +v.toPrecision(3)}`);
    return entry;
  }));
}
function paint() { paintFilm(); paintCurves(); }
slider.addEventListener('input', paint);

function scrub(event) {
  if (!replay.shown || (event.type === 'pointermove' && !event.buttons)) return;
  const box = curves.getBoundingClientRect(), { shown } = replay;
  const step = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT) * lastStep(shown);
  const distances = shown.steps.map(s => Math.abs(s - step));
  slider.value = distances.indexOf(Math.min(...distances));
  paint();
}
curves.addEventListener('pointerdown', event => { curves.setPointerCapture(event.pointerId); scrub(event); });
curves.addEventListener('pointermove', scrub);

function fitReplay() {
  if (!replay.shown || !element.clientWidth) return;
  film.style.width = `${wholeMultiple(replay.shown.width, element.clientWidth, element.clientWidth < 700 ? replay.shown.width : 2 * replay.shown.width)}px`;
  paintCurves();
}
const askReplay = latest(server.replay, async answer => {
  replay.sheet = await loadImage(answer.sprite);
  replay.shown = answer;
  slider.max = slider.value = answer.count - 1;
  $('.replay-monitor').textContent = answer.monitor;
  $('.replay-command').textContent = answer.command;
  paint();
  fitReplay();
});
const models = Object.entries(page.replays);
choices($('.replay-models'), models, models[0][0], model => askReplay({ model }));
opened.replay = () => {
  if (!replay.asked) askReplay({ model: models[0][0] });
  replay.asked = true;
};
onResize(curves, fitReplay);
