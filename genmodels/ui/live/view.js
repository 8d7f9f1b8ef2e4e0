// A GAN that the server trains a turn at a time: nothing runs there that no page asks for.
const SPEEDS = [1, 5, 20, 100, 500];
const LOSSES = {
  nonsaturating: [t`Non-saturating`, t`The generator minimizes −E log D(G(z)): its gradient is strong while it loses.`, '1406.2661'],
  minimax: [t`Minimax`, t`The generator minimizes E log(1 − D(G(z))): its gradient vanishes where the discriminator is sure.`, '1406.2661'],
  wasserstein: [t`Wasserstein`, t`A critic maximizes E D(x) − E D(G(z)) under a bound on its slope.`, '1701.07875'],
  relativistic: [t`Relativistic`, t`Both see pairs: E softplus(D(G(z)) − D(x)), and the reverse.`, '2501.05441'],
};
const SWITCHES = {
  gradient_penalty: [t`gradient penalty`, t`R1 and R2: ½ ‖∇D‖² at data and fakes; of a critic (‖∇D‖ − 1)² between them`, '1801.04406'],
  minibatch_stddev: [t`minibatch stddev`, t`the discriminator sees how much a batch differs`, '1710.10196'],
  spectral_norm: [t`spectral norm`, t`no layer of the discriminator stretches anything`, '1802.05957'],
  label_smoothing: [t`label smoothing`, t`the target of data is 0.9`, '1606.03498'],
};
const DATA = { ring: t`Ring of 8`, grid: t`Grid of 25`, digits: t`Digits` };
const address = link.view('live', page.live.first.settings);
const gan = { session: null, settings: null, running: false, step: 0, losses: [], view: null, done: false };
const stage = $('.live-stage'), plot = $('.live-losses'), run = $('.live-run');

for (const [key, [title]] of Object.entries(LOSSES)) $('.live-loss').append(new Option(title, key));
for (const name of ['generator', 'discriminator']) for (const rate of page.live.rates) $(`.live-${name}-rate`).append(new Option(significant(rate, 2), rate));
$('.live-discriminator-steps').max = page.live.max_discriminator_steps;
$('.live-seed').max = page.max_seed;
for (const [name, [title, what]] of Object.entries(SWITCHES)) {
  const label = document.createElement('label'), box = document.createElement('input');
  Object.assign(box, { type: 'checkbox', title: what });
  box.dataset.name = name;
  label.title = what;
  label.append(box, title);
  $('.live-switches').append(label);
}

// The settings that the controls say; where a number is none that they allow, it stays what it was.
function chosen() {
  const whole = (field, name) => field.checkValidity() && field.value !== '' ? +field.value : gan.settings[name];
  const switches = Object.fromEntries([...element.querySelectorAll('.live-switches input')].map(box => [box.dataset.name, box.checked]));
  return {
    data: gan.settings.data, loss: $('.live-loss').value, ...switches,
    generator_rate: +$('.live-generator-rate').value, discriminator_rate: +$('.live-discriminator-rate').value,
    discriminator_steps: whole($('.live-discriminator-steps'), 'discriminator_steps'), seed: whole($('.live-seed'), 'seed'),
  };
}
function set(settings) {
  gan.settings = settings;
  $('.live-loss').value = settings.loss;
  $('.live-generator-rate').value = settings.generator_rate;
  $('.live-discriminator-rate').value = settings.discriminator_rate;
  $('.live-discriminator-steps').value = settings.discriminator_steps;
  $('.live-seed').value = settings.seed;
  element.querySelectorAll('.live-switches input').forEach(box => { box.checked = settings[box.dataset.name]; });
  pressData(settings.data);
  pressRecipe(page.live.recipes.find(recipe => same({ ...recipe.settings, data: settings.data, seed: settings.seed }, settings))?.name);
  explain();
}
const same = (one, other) => Object.keys(one).every(name => one[name] === other[name]);
function explain() {
  const links = [LOSSES[$('.live-loss').value], ...[...element.querySelectorAll('.live-switches input:checked')].map(box => SWITCHES[box.dataset.name])];
  $('.live-formula').replaceChildren(...links.flatMap(([title, what, paper], i) => {
    const link = document.createElement('a');
    Object.assign(link, { href: `https://arxiv.org/abs/${paper}`, target: '_blank', rel: 'noopener', textContent: title });
    return [...(i ? [' '] : []), link, `: ${what}${what.endsWith('.') ? '' : '.'}`];
  }));
}

function paintStage() {
  const { view } = gan, room = stage.parentElement.clientWidth;
  if (!room || !view) return;
  // Digits in their own size, which CSS enlarges; points and planes as large as the screen has pixels.
  stage.style.width = view.sheet ? `${wholeMultiple(view.image.width, room, 480)}px` : '';
  const size = view.sheet ? view.image.width : Math.round(stage.clientWidth * devicePixelRatio), c = stage.getContext('2d');
  stage.width = stage.height = size;
  if (view.sheet) {
    c.drawImage(view.image, 0, 0);
    stage.setAttribute('aria-label', t`${page.live.images} generated digits at step ${view.step}`);
    return;
  }
  const side = Math.sqrt(atob(view.heat).length), heat = document.createElement('canvas'), bytes = atob(view.heat);
  heat.width = heat.height = side;
  const h = heat.getContext('2d'), image = h.createImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    // From wine red, what is called fake, over black to blue.
    const t = bytes.charCodeAt(i) / 127.5 - 1, ends = t < 0 ? [122, 31, 61] : [31, 95, 158], dark = [27, 27, 34];
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = dark[k] + (ends[k] - dark[k]) * Math.abs(t);
    image.data[4 * i + 3] = 255;
  }
  h.putImageData(image, 0, 0);
  c.imageSmoothingEnabled = true;
  c.drawImage(heat, 0, 0, size, size);
  const dot = (points, style, radius) => {
    c.fillStyle = style;
    for (let i = 0; i < points.length; i += 2) {
      c.beginPath();
      c.arc((points[i] / 1000 + 1) / 2 * size, (1 - points[i + 1] / 1000) / 2 * size, radius * size / 480, 0, 7);
      c.fill();
    }
  };
  dot(page.live.real[view.data], 'rgba(255, 255, 255, 0.55)', 1.4);
  dot(view.points, '#ffd43b', 2.1);
  stage.setAttribute('aria-label', t`${view.points.length / 2} generated points at step ${view.step}: ${view.modes} of ${page.live.modes[view.data]} modes reached, ${Math.round(100 * view.share)}% of points near one`);
}

function paintLosses() {
  const series = [1, 2].map(i => gan.losses.map(point => [point[0], point[i]]));
  paintCurves(plot, { series, colours: ['--accent', '--generated'], last: Math.max(gan.step, 50), least: 1 });
}

async function show(view) {
  // What is on show keeps its data while others are already chosen and on their way.
  const { data } = gan.settings;
  if (view.sheet) view.image = await loadImage(view.sheet);
  gan.view = { ...view, data };
  gan.step = view.step;
  gan.done = view.done;
  gan.losses.push(...view.losses);
  // Every other point goes once there are more than a screen has pixels.
  if (gan.losses.length > 2000) gan.losses = gan.losses.filter((_, i) => i % 2);
  $('.live-heat').hidden = $('.live-legend').hidden = Boolean(view.sheet);
  $('.live-count').textContent = t`step ${view.step.toLocaleString(LANGUAGE)}`;
  const total = page.live.modes[data], verdict = $('.live-verdict');
  let text = '', bad = false;
  if (view.sheet) {
    $('.live-modes').textContent = t`two digits differ by ${decimal(view.alike, 2)} (data ${decimal(page.live.alike, 2)})`;
    bad = view.step >= 200 && view.alike < 0.4 * page.live.alike;
    if (bad) text = t`Collapsed: whatever the noise, nearly the same image.`;
  } else {
    $('.live-modes').textContent = t`${view.modes} of ${total} modes · ${Math.round(100 * view.share)}% of points near one`;
    bad = view.step > 300 && view.modes <= total / 4;
    if (bad) text = t`Collapsed: whatever the noise, the points sit on few modes.`;
    else if (view.modes === total && view.share > 0.6) text = t`All modes, and most points on one of them.`;
  }
  if (view.done) text += ` ${t`That is as far as it goes here; the Python below goes farther.`}`;
  // The same steps give the same weights.
  python.set('Live', gan.code.replace(/gan\.train\(\d+\)/, `gan.train(${view.step})`), stage.clientWidth > 0);
  verdict.textContent = text.trim();
  verdict.classList.toggle('bad', bad);
  paintStage();
  paintLosses();
}

function setRunning(running) {
  gan.running = running;
  run.textContent = running ? t`Pause` : gan.session && gan.step ? t`Go on` : t`Start`;
}

// A fresh GAN of the chosen settings.
async function restart() {
  const turn = gan.turn = {};
  const slow = setTimeout(() => notice(t`The training process is starting.`), 400);
  const mine = () => gan.turn === turn && element.isConnected;
  const answer = await answerOf(server.live_start, { settings: gan.settings }, mine);
  clearTimeout(slow);
  if (!answer || !mine()) return false;
  if (answer.full) { notice(t`Others are training: waiting for a turn.`); await pause(2000); return mine() && restart(); }
  if (answer.status !== 'ok') { notice(answer.message, true); return false; }
  notice('');
  gan.session = answer.session;
  set(answer.settings);
  gan.losses = [];
  gan.code = answer.code;
  await show(answer);
  return true;
}
async function reset(settings) {
  set(settings);
  address.set(settings);
  setRunning(false);
  gan.session = null;
  await restart();
  setRunning(gan.running);
}

// One turn: returns whether there may be another. Whoever asks for turns gets them one after another.
let last = Promise.resolve();
function turn(steps) {
  const take = () => train(steps);
  last = last.then(take, take);
  return last;
}
async function train(steps) {
  if (!gan.session && !await restart()) return false;
  const session = gan.session;
  const mine = () => session === gan.session && element.isConnected;
  const answer = await answerOf(server.live_train, { session, steps }, mine);
  if (!answer || !mine()) return false;
  if (answer.status !== 'ok') { notice(answer.message, true); return false; }
  if (answer.lost) { gan.session = null; notice(t`Others needed the room: your run is gone. Start again.`, true); return false; }
  notice('');
  await show(answer);
  return !answer.done;
}
async function loop() {
  const mine = gan.loop = {}, on = () => gan.loop === mine && gan.running;
  setRunning(true);
  await last;
  while (on() && element.isConnected && !document.hidden) {
    const steps = SPEEDS[+$('.live-speed').value];
    if (!await turn(steps)) break;
    // At the slow end each step is to be seen.
    await pause(steps === 1 ? 120 : steps === 5 ? 40 : 0);
  }
  if (on()) setRunning(false);
}
run.addEventListener('click', () => { if (gan.running) setRunning(false); else if (!gan.done) loop(); });
$('.live-step').addEventListener('click', async () => {
  if (gan.running) setRunning(false);
  else if (!gan.done) { await turn(1); setRunning(gan.running); }
});
$('.live-reset').addEventListener('click', () => reset(chosen()));
$('.live-settings').addEventListener('change', () => {
  const settings = chosen();
  if (same(settings, gan.settings)) set(settings);
  else reset(settings);
});
const pressData = choices($('.live-data'), Object.entries(DATA), 'ring', data => reset({ ...chosen(), data }));
const pressRecipe = choices($('.live-recipes'), page.live.recipes.map(({ name }) => [name, name]), null, name => {
  const { settings } = page.live.recipes.find(recipe => recipe.name === name);
  reset({ ...settings, data: gan.settings.data, seed: gan.settings.seed });
});

// The settings that the address asks for, where the controls know them.
function restored() {
  const inRange = { discriminator_steps: [page.live.max_discriminator_steps, 1], seed: [page.max_seed] };
  const settings = { ...page.live.first.settings };
  for (const [name, value] of Object.entries(settings)) {
    const wanted = address.get(name);
    if (wanted === null) continue;
    if (typeof value === 'boolean') settings[name] = wanted === 'true';
    else if (name === 'data' ? Object.hasOwn(DATA, wanted) : name === 'loss' ? Object.hasOwn(LOSSES, wanted) : name.endsWith('_rate') ? page.live.rates.includes(+wanted) : address.count(name, ...inRange[name]) !== null) settings[name] = typeof value === 'number' ? +wanted : wanted;
  }
  return settings;
}
address.restore(() => {
  const settings = restored();
  if (!same(settings, page.live.first.settings)) reset(settings);
});
set(page.live.first.settings);
gan.code = page.live.first.code;
(async () => { await show(page.live.first); setRunning(false); onResize(stage.parentElement, () => { paintStage(); paintLosses(); }); link.apply(); })();
python.picture('Live', '.live-stage');
opened.live = () => { paintStage(); paintLosses(); };
