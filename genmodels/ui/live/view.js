// A GAN that is trained a turn at a time: of points by a worker of the page, of digits by the server.
import { answerOf } from '../common/calls.js';
import { choices, clamp, make, onRelease, onResize, pause } from '../common/dom.js';
import { bytesOf, fitWidth, loadImage, penOf } from '../common/pictures.js';
import { paintCurves } from '../common/plots.js';
import { decimal, significant, t, whole } from '../common/text.js';
import { pointsOf, randomOf, thousandths } from './points.js';

// Steps of a turn of the server, and steps a second in the page.
const SPEEDS = [1, 5, 20, 100, 500];
const RATES = [8, 30, 120, 400, 100_000];
// A turn in the page fits between two pictures; the plane, the losses and the Python are looked at once in so many.
const [TURN_SECONDS, SELDOM] = [0.014, 8];
const [REAL_POINTS, MAX_DRAWN] = [500, 300];
// What each is called and does, and its paper.
/** @type {Record<string, string[]>} */
const LOSSES = {
  nonsaturating: [
    t`Non-saturating`,
    t`The generator minimizes −E log D(G(z)): its gradient is strong while it loses.`,
    '1406.2661',
  ],
  minimax: [
    t`Minimax`,
    t`The generator minimizes E log(1 − D(G(z))): its gradient vanishes where the discriminator is sure.`,
    '1406.2661',
  ],
  wasserstein: [t`Wasserstein`, t`A critic maximizes E D(x) − E D(G(z)) under a bound on its slope.`, '1701.07875'],
  relativistic: [t`Relativistic`, t`Both see pairs: E softplus(D(G(z)) − D(x)), and the reverse.`, '2501.05441'],
};
/** @type {Record<string, string[]>} */
const SWITCHES = {
  gradient_penalty: [
    t`gradient penalty`,
    t`R1 and R2: ½ ‖∇D‖² at data and fakes; of a critic (‖∇D‖ − 1)² between them`,
    '1801.04406',
  ],
  minibatch_stddev: [t`minibatch stddev`, t`the discriminator sees how much a batch differs`, '1710.10196'],
  spectral_norm: [t`spectral norm`, t`no layer of the discriminator stretches anything`, '1802.05957'],
  label_smoothing: [t`label smoothing`, t`the target of data is 0.9`, '1606.03498'],
};
const DATA = { ring: t`Ring of 8`, grid: t`Grid of 25`, drawn: t`Your own`, digits: t`Digits` };

/** What is learned, and how: the names are those of Python's. @typedef {Record<string, any>} Settings */
/** What a worker trains: asks it, one turn after another. @returns {(request: object) => Promise<any>} */
function trainerInPage() {
  /** @type {Worker | null} */
  let worker = null;
  /** @type {{done: (view: any) => void, failed: (error: unknown) => void}[]} */
  const waiting = [];
  function start() {
    // Where another page embeds this one, only a script of its own may begin a worker.
    const module = JSON.stringify(new URL('./points.js', import.meta.url).href);
    const script = URL.createObjectURL(new Blob([`import ${module};`], { type: 'text/javascript' }));
    const started = new Worker(script, { type: 'module' });
    started.onmessage = ({ data }) => waiting.shift()?.done(data);
    started.onerror = error => {
      worker = null;
      for (const { failed } of waiting.splice(0)) failed(error);
    };
    return started;
  }
  return request =>
    new Promise((done, failed) => {
      worker ??= start();
      waiting.push({ done, failed });
      worker.postMessage(request);
    });
}
/** As the next picture is due. */
const nextFrame = () => new Promise(done => requestAnimationFrame(done));
/** A setting as Python writes it. @param {unknown} value */
const literal = value => (typeof value === 'boolean' ? (value ? 'True' : 'False') : JSON.stringify(value));

/** @param {Settings} one @param {Settings} other */
const same = (one, other) => Object.keys(one).every(name => one[name] === other[name]);

/** @param {Tab} tab */
export default function live(tab) {
  const { $, element, find, link, notice, onOpen, page, python, server } = tab;
  const { batch_size, code, distance, first, images, max_discriminator_steps, mixtures } = page.live;
  /** @type {number[]} */
  const rates = page.live.rates;
  /** @type {{name: string, settings: Settings}[]} */
  const recipes = page.live.recipes;
  const address = link.view('live', first.settings);
  const gan = {
    session: '',
    /** @type {Settings} */
    settings: first.settings,
    running: false,
    step: 0,
    /** Step, and the losses of discriminator and generator. @type {number[][]} */
    losses: [],
    /** What is on show. @type {Record<string, any> | null} */
    view: null,
    done: false,
    turns: 0,
    // The run, the loop and the turn that are going on: whoever waits for another one gives up.
    run: {},
    loop: {},
    turn: Promise.resolve(true),
  };
  /** @type {number[][]} */
  const drawn = [];
  const inPage = trainerInPage();
  const isOfPoints = (/** @type {Settings} */ { data }) => data !== 'digits';
  /** @param {string} data @returns {import('./points.js').Mixture} */
  const mixtureOf = data => (data === 'drawn' ? { ...mixtures.drawn, centers: drawn } : mixtures[data]);
  // Without a server there are no digits.
  const offered = Object.entries(DATA).filter(([name]) => name !== 'digits' || server.live_start);
  const [stage, plot, run] = find('.live-stage', '.live-losses', '.live-run');
  const field = (/** @type {string} */ name) => $(`.live-${name.replaceAll('_', '-')}`);
  /** The most and the least. @type {Record<string, number[]>} */
  const ranges = { discriminator_steps: [max_discriminator_steps, 1], seed: [page.max_seed] };

  field('loss').append(...Object.entries(LOSSES).map(([key, [title]]) => new Option(title, key)));
  for (const name of ['generator_rate', 'discriminator_rate']) {
    field(name).append(...rates.map(rate => new Option(significant(rate, 2), String(rate))));
  }
  for (const [name, [most]] of Object.entries(ranges)) field(name).max = most;
  const boxes = Object.entries(SWITCHES).map(([name, [words, title]]) => {
    const box = make('input', { type: 'checkbox', title, 'data-name': name });
    $('.live-switches').append(make('label', { title }, box, words));
    return { name, box };
  });

  // The settings that the controls say; where a number is none that they allow, it stays what it was.
  function chosen() {
    const number = (/** @type {string} */ name) => {
      const { value } = field(name);
      return field(name).checkValidity() && value !== '' ? +value : gan.settings[name];
    };
    return {
      data: gan.settings.data,
      loss: field('loss').value,
      ...Object.fromEntries(boxes.map(({ name, box }) => [name, box.checked])),
      generator_rate: +field('generator_rate').value,
      discriminator_rate: +field('discriminator_rate').value,
      discriminator_steps: number('discriminator_steps'),
      seed: number('seed'),
    };
  }
  function set(/** @type {Settings} */ settings) {
    gan.settings = settings;
    for (const name of ['loss', 'generator_rate', 'discriminator_rate', 'discriminator_steps', 'seed']) {
      field(name).value = settings[name];
    }
    for (const { name, box } of boxes) box.checked = settings[name];
    const { data, seed } = settings;
    pressData(data);
    const held = isOfPoints(settings);
    $('.live-held').textContent = held ? t`a change holds from the next step on` : t`a change starts again from step 0`;
    stage.style.touchAction = data === 'drawn' ? 'none' : '';
    stage.style.cursor = data === 'drawn' ? 'crosshair' : '';
    pressRecipe(recipes.find(recipe => same({ ...recipe.settings, data, seed }, settings))?.name);
    explain();
  }
  /** What Python trains with these settings. @param {number} step */
  function codeOf(step) {
    const { settings } = gan;
    const changed = Object.entries(settings).filter(([name, value]) => value !== first.settings[name]);
    if (isOfPoints(settings)) changed.push(['batch_size', batch_size]);
    const listed = changed.map(([name, value]) => `${name}=${literal(value)}`).join(', ');
    const points = drawn.map(point => `[${point.map(v => v.toFixed(2)).join(', ')}]`);
    return code[settings.data]
      .replace('Settings()', `Settings(${listed})`)
      .replace('[[0.0, 0.0]]', `[${points.join(', ')}]`)
      .replace('gan.train(0)', `gan.train(${step})`);
  }
  function explain() {
    const pressed = boxes.filter(({ box }) => box.checked).map(({ name }) => SWITCHES[name]);
    const told = [LOSSES[field('loss').value], ...pressed];
    const words = told.flatMap(([textContent, what, paper], i) => {
      const href = `https://arxiv.org/abs/${paper}`;
      const end = what.endsWith('.') ? '' : '.';
      return [i ? ' ' : '', make('a', { href, target: '_blank', rel: 'noopener', textContent }), `: ${what}${end}`];
    });
    $('.live-formula').replaceChildren(...words);
  }

  // The plane and the data lie below the points that are drawn anew in each picture.
  const ground = make('canvas');
  function paintGround() {
    const { view } = gan;
    const size = Math.round(stage.clientWidth * devicePixelRatio);
    ground.width = ground.height = size;
    const c = penOf(ground);
    if (view?.heat) c.drawImage(heatOf(view.heat), 0, 0, size, size);
    if (view?.real) paintDots(c, size, view.real, 'rgba(255, 255, 255, 0.55)', 1.4);
  }
  /**
   * @param {CanvasRenderingContext2D} c @param {number} size @param {number[]} points in thousandths
   * @param {string} style
   * @param {number} radius
   */
  function paintDots(c, size, points, style, radius) {
    c.fillStyle = style;
    for (let i = 0; i < points.length; i += 2) {
      const [x, y] = [(points[i] / 1000 + 1) / 2, (1 - points[i + 1] / 1000) / 2];
      c.beginPath();
      c.arc(x * size, y * size, (radius * size) / 480, 0, 7);
      c.fill();
    }
  }
  function paintStage() {
    const { view } = gan;
    const room = stage.parentElement.clientWidth;
    if (!room || !view) return;
    const c = penOf(stage);
    // Digits in their own size, which CSS enlarges; points and planes as large as the screen has pixels.
    if (view.sheet) {
      fitWidth(stage, view.image.width, room, 480);
      stage.width = stage.height = view.image.width;
      c.drawImage(view.image, 0, 0);
      stage.setAttribute('aria-label', t`${images} generated digits at step ${view.step}`);
      return;
    }
    stage.style.width = '';
    const size = Math.round(stage.clientWidth * devicePixelRatio);
    if (ground.width !== size) paintGround();
    stage.width = stage.height = size;
    c.drawImage(ground, 0, 0);
    paintDots(c, size, view.points, '#ffd43b', 2.1);
    const share = Math.round(100 * view.share);
    stage.setAttribute(
      'aria-label',
      t`${view.points.length / 2} generated points at step ${view.step}: ${view.modes} of ${view.of} modes
        reached, ${share}% of points near one`,
    );
  }
  /** From wine red, what is called fake, over black to blue. @param {Uint8Array} scores */
  function heatOf(scores) {
    const side = Math.sqrt(scores.length);
    const heat = make('canvas', { width: side, height: side });
    const h = penOf(heat);
    const image = h.createImageData(side, side);
    const dark = [27, 27, 34];
    scores.forEach((score, i) => {
      const share = score / 127.5 - 1;
      const end = share < 0 ? [122, 31, 61] : [31, 95, 158];
      const colour = dark.map((v, k) => v + (end[k] - v) * Math.abs(share));
      image.data.set([...colour, 255], 4 * i);
    });
    h.putImageData(image, 0, 0);
    return heat;
  }

  function paintLosses() {
    const series = [1, 2].map(i => gan.losses.map(point => [point[0], point[i]]));
    paintCurves(plot, { series, colours: ['--accent', '--generated'], last: Math.max(gan.step, 50), least: 1 });
  }
  const paint = () => {
    paintGround();
    paintStage();
    paintLosses();
  };

  async function show(/** @type {any} */ view) {
    const image = view.sheet ? await loadImage(view.sheet) : null;
    if (view.sheet) gan.view = { ...view, image };
    else {
      const mixture = mixtureOf(gan.settings.data);
      const [limit, of] = [mixture.limit, mixture.centers.length];
      const points = of ? pointsOf(mixture, REAL_POINTS, randomOf(0)) : new Float64Array();
      gan.view = { ...view, of, heat: view.heat ?? gan.view?.heat, real: thousandths(points, limit) };
      if (view.heat) paintGround();
    }
    gan.step = view.step;
    gan.done = view.done;
    gan.losses.push(...view.losses);
    // Every other point goes once there are more than a screen has pixels.
    if (gan.losses.length > 2000) gan.losses = gan.losses.filter((_, i) => i % 2);
    $('.live-heat').hidden = $('.live-legend').hidden = Boolean(view.sheet);
    $('.live-count').textContent = t`step ${whole(view.step)}`;
    const share = Math.round(100 * view.share);
    let [text, bad] = ['', false];
    if (view.sheet) {
      const [ours, theirs] = [view.distance, distance].map(v => decimal(v, 2));
      $('.live-modes').textContent = t`two digits differ by ${ours} (data ${theirs})`;
      bad = view.step >= 200 && view.distance < 0.4 * distance;
      if (bad) text = t`Collapsed: whatever the noise, nearly the same image.`;
    } else {
      const of = gan.view?.of;
      $('.live-modes').textContent = t`${view.modes} of ${of} modes · ${share}% of points near one`;
      bad = view.step > 300 && view.modes <= of / 4;
      if (bad) text = t`Collapsed: whatever the noise, the points sit on few modes.`;
      else if (of && view.modes === of && view.share > 0.6) text = t`All modes, and most points on one of them.`;
    }
    const end = view.done ? t`That is as far as it goes here; the Python below goes farther.` : '';
    const verdict = $('.live-verdict');
    const said = `${text} ${end}`.trim();
    if (verdict.textContent !== said) verdict.textContent = said;
    verdict.classList.toggle('bad', bad);
    paintStage();
    if (!view.sheet && !view.heat) return;
    python.set('Live', view.code ?? codeOf(view.step), stage.clientWidth > 0);
    paintLosses();
  }

  function setRunning(/** @type {boolean} */ running) {
    gan.running = running;
    run.textContent = running ? t`Pause` : gan.session && gan.step ? t`Go on` : t`Start`;
  }

  /**
   * One turn in the page: what there is to see then, null if another run has begun meanwhile.
   * @param {number} steps @param {boolean} fresh
   */
  async function turnInPage(steps, fresh = false) {
    const { run, settings } = gan;
    const heat = fresh || !gan.running || ++gan.turns % SELDOM === 0;
    const mixture = mixtureOf(settings.data);
    try {
      const view = await inPage({ fresh, settings, mixture, steps, seconds: TURN_SECONDS, heat });
      return gan.run === run ? view : null;
    } catch {
      notice(t`This browser cannot train in the page: it does not run modules as workers.`, true);
      return null;
    }
  }
  async function restartInPage() {
    gan.losses = [];
    notice('');
    if (!mixtureOf(gan.settings.data).centers.length) {
      gan.session = '';
      await show({ step: 0, losses: [], points: [], modes: 0, share: 0, heat: new Uint8Array(48 * 48).fill(128) });
      notice(t`Draw on the plane what is to be learned; “Your own” begins anew.`);
      return false;
    }
    gan.session = 'page';
    const view = await turnInPage(0, true);
    if (view) await show(view);
    return Boolean(view);
  }
  /** Turn after turn in the page, each made while the one before it is shown. @param {() => boolean} on */
  async function loopInPage(on) {
    let [owed, last] = [1, performance.now()];
    const due = () => {
      const now = performance.now();
      owed = (owed % 1) + ((now - last) / 1000) * RATES[+$('.live-speed').value];
      last = now;
      return Math.floor(owed);
    };
    let asked = turnInPage(1);
    while (on() && element.isConnected && !document.hidden) {
      const view = await asked;
      if (!view) return;
      if (on()) asked = turnInPage(due());
      await show(view);
      await nextFrame();
    }
    // All there was, with the plane.
    await asked.then(view => view && show(view));
    if (on()) setRunning(false);
    const end = await turnInPage(0);
    if (end && !gan.running) await show(end);
  }

  /** A fresh GAN of the chosen settings. @returns {Promise<boolean>} */
  async function restart() {
    const started = {};
    gan.run = started;
    if (isOfPoints(gan.settings)) return restartInPage();
    const slow = setTimeout(() => notice(t`The training process is starting.`), 400);
    const mine = () => gan.run === started && element.isConnected;
    const answer = await answerOf(server.live_start, { settings: gan.settings }, mine, notice);
    clearTimeout(slow);
    if (!answer || !mine()) return false;
    if (answer.full) {
      notice(t`Others are training: waiting for a turn.`);
      await pause(2000);
      return mine() && restart();
    }
    if (answer.status !== 'ok') {
      notice(answer.message ?? '', true);
      return false;
    }
    notice('');
    gan.session = answer.session;
    gan.losses = [];
    await show(answer);
    return true;
  }
  /** Takes settings: points go on with them, all else begins anew. @param {Settings} settings */
  async function change(settings) {
    const { data, seed } = gan.settings;
    const goesOn = gan.session && isOfPoints(settings) && settings.data === data && settings.seed === seed;
    if (!goesOn) return reset(settings);
    set(settings);
    address.set(settings);
    if (!gan.running) python.set('Live', codeOf(gan.step), stage.clientWidth > 0);
  }
  async function reset(/** @type {Settings} */ settings) {
    set(settings);
    address.set(settings);
    setRunning(false);
    gan.session = '';
    await restart();
    setRunning(gan.running);
  }

  /** One turn, one after another: returns whether there may be a further one. @param {number} steps */
  function turn(steps) {
    const take = () => train(steps);
    gan.turn = gan.turn.then(take, take);
    return gan.turn;
  }
  async function train(/** @type {number} */ steps) {
    if (!gan.session && !(await restart())) return false;
    if (isOfPoints(gan.settings)) {
      const view = await turnInPage(steps);
      if (view) await show(view);
      return Boolean(view);
    }
    const { session } = gan;
    const mine = () => session === gan.session && element.isConnected;
    const answer = await answerOf(server.live_train, { session, steps }, mine, notice);
    if (!answer || !mine()) return false;
    if (answer.status !== 'ok' || answer.lost) {
      if (answer.lost) gan.session = '';
      notice(answer.lost ? t`Others needed the room: your run is gone. Start again.` : (answer.message ?? ''), true);
      return false;
    }
    notice('');
    await show(answer);
    return !answer.done;
  }
  async function loop() {
    const mine = {};
    gan.loop = mine;
    const on = () => gan.loop === mine && gan.running;
    setRunning(true);
    await gan.turn;
    if (isOfPoints(gan.settings)) {
      if (on() && (gan.session || (await restart())) && on()) await loopInPage(on);
      if (on()) setRunning(false);
      return;
    }
    while (on() && element.isConnected && !document.hidden) {
      const steps = SPEEDS[+$('.live-speed').value];
      if (!(await turn(steps))) break;
      // At the slow end each step is to be seen.
      await pause(steps === 1 ? 120 : steps === 5 ? 40 : 0);
    }
    if (on()) setRunning(false);
  }
  run.addEventListener('click', () => {
    if (gan.running) setRunning(false);
    else if (!gan.done) loop();
  });
  $('.live-step').addEventListener('click', async () => {
    if (gan.running) setRunning(false);
    else if (!gan.done) {
      await turn(1);
      setRunning(gan.running);
    }
  });
  $('.live-reset').addEventListener('click', () => reset(chosen()));
  $('.live-settings').addEventListener('change', () => {
    const settings = chosen();
    if (same(settings, gan.settings)) set(settings);
    else change(settings);
  });
  const pressData = choices($('.live-data'), offered, 'ring', data => {
    if (data === 'drawn') drawn.length = 0;
    reset({ ...chosen(), data });
  });
  const names = recipes.map(({ name }) => [name, name]);
  const pressRecipe = choices($('.live-recipes'), names, null, name => {
    const recipe = recipes.find(one => one.name === name);
    change({ ...recipe?.settings, data: gan.settings.data, seed: gan.settings.seed });
  });

  // Points that are drawn are learned at once.
  let drawing = false;
  function add(/** @type {PointerEvent} */ { clientX, clientY }) {
    const { left, top, width, height } = stage.getBoundingClientRect();
    const { limit } = mixtures.drawn;
    const point = [((clientX - left) / width) * 2 - 1, 1 - ((clientY - top) / height) * 2].map(v =>
      clamp(v * limit, -limit, limit),
    );
    const last = drawn.at(-1);
    if (drawn.length >= MAX_DRAWN || (last && Math.hypot(point[0] - last[0], point[1] - last[1]) < 0.1)) return;
    drawn.push(point);
    if (gan.view) Object.assign(gan.view, { real: thousandths(Float64Array.from(drawn.flat()), limit) });
    paintGround();
    paintStage();
  }
  stage.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    if (gan.settings.data !== 'drawn' || event.button) return;
    drawing = true;
    stage.setPointerCapture(event.pointerId);
    add(event);
  });
  stage.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => {
    if (drawing) add(event);
  });
  onRelease(stage, () => {
    if (drawing && !gan.running) loop();
    drawing = false;
  });

  /**
   * What the address asks for of a setting, null where its control does not know it.
   * @param {string} name @param {unknown} usual
   */
  function asked(name, usual) {
    const wanted = address.get(name);
    if (wanted === null) return null;
    if (typeof usual === 'boolean') return wanted === 'true';
    if (name in ranges) return address.count(name, ...ranges[name]);
    if (name.endsWith('_rate')) return Number(address.option(name, rates.map(String))) || null;
    return address.option(name, Object.keys(name === 'data' ? Object.fromEntries(offered) : LOSSES));
  }
  address.restore(() => {
    const settings = Object.entries(first.settings).map(([name, usual]) => [name, asked(name, usual) ?? usual]);
    const wanted = Object.fromEntries(settings);
    if (!same(wanted, first.settings)) reset(wanted);
  });
  set(first.settings);
  show({ ...first, heat: bytesOf(first.heat) }).then(() => {
    setRunning(false);
    onResize(stage.parentElement, paint);
    link.apply();
  });
  python.picture('Live', '.live-stage');
  onOpen('live', paint);
}
