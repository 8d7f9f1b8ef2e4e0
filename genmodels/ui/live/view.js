// A GAN that the server trains a turn at a time: nothing runs there that no page asks for.
import { answerOf } from '../common/calls.js';
import { choices, make, onResize, pause } from '../common/dom.js';
import { bytesOf, fitWidth, loadImage, penOf } from '../common/pictures.js';
import { paintCurves } from '../common/plots.js';
import { decimal, significant, t, whole } from '../common/text.js';

const SPEEDS = [1, 5, 20, 100, 500];
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
const DATA = { ring: t`Ring of 8`, grid: t`Grid of 25`, digits: t`Digits` };

/** What is learned, and how: the names are those of Python's. @typedef {Record<string, any>} Settings */
/** @param {Settings} one @param {Settings} other */
const same = (one, other) => Object.keys(one).every(name => one[name] === other[name]);

/** @param {Tab} tab */
export default function live(tab) {
  const { $, element, find, link, notice, onOpen, page, python, server } = tab;
  const { distance, first, images, max_discriminator_steps, modes, real } = page.live;
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
    code: first.code,
    // The run, the loop and the turn that are going on: whoever waits for another one gives up.
    run: {},
    loop: {},
    turn: Promise.resolve(true),
  };
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
    pressRecipe(recipes.find(recipe => same({ ...recipe.settings, data, seed }, settings))?.name);
    explain();
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
    stage.width = stage.height = size;
    c.drawImage(heatOf(bytesOf(view.heat)), 0, 0, size, size);
    /** @param {number[]} points @param {string} style @param {number} radius */
    const dots = (points, style, radius) => {
      c.fillStyle = style;
      for (let i = 0; i < points.length; i += 2) {
        const [x, y] = [(points[i] / 1000 + 1) / 2, (1 - points[i + 1] / 1000) / 2];
        c.beginPath();
        c.arc(x * size, y * size, (radius * size) / 480, 0, 7);
        c.fill();
      }
    };
    dots(real[view.data], 'rgba(255, 255, 255, 0.55)', 1.4);
    dots(view.points, '#ffd43b', 2.1);
    const share = Math.round(100 * view.share);
    stage.setAttribute(
      'aria-label',
      t`${view.points.length / 2} generated points at step ${view.step}: ${view.modes} of ${modes[view.data]} modes
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
    paintStage();
    paintLosses();
  };

  async function show(/** @type {any} */ view) {
    // What is on show keeps its data while others are already chosen and on their way.
    const { data } = gan.settings;
    const image = view.sheet ? await loadImage(view.sheet) : null;
    gan.view = { ...view, image, data };
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
      $('.live-modes').textContent = t`${view.modes} of ${modes[data]} modes · ${share}% of points near one`;
      bad = view.step > 300 && view.modes <= modes[data] / 4;
      if (bad) text = t`Collapsed: whatever the noise, the points sit on few modes.`;
      else if (view.modes === modes[data] && view.share > 0.6) text = t`All modes, and most points on one of them.`;
    }
    const end = view.done ? t`That is as far as it goes here; the Python below goes farther.` : '';
    // The same steps give the same weights.
    const code = gan.code.replace(/gan\.train\(\d+\)/, `gan.train(${view.step})`);
    python.set('Live', code, stage.clientWidth > 0);
    const verdict = $('.live-verdict');
    verdict.textContent = `${text} ${end}`.trim();
    verdict.classList.toggle('bad', bad);
    paint();
  }

  function setRunning(/** @type {boolean} */ running) {
    gan.running = running;
    run.textContent = running ? t`Pause` : gan.session && gan.step ? t`Go on` : t`Start`;
  }

  /** A fresh GAN of the chosen settings. @returns {Promise<boolean>} */
  async function restart() {
    const started = {};
    gan.run = started;
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
    gan.code = answer.code;
    await show(answer);
    return true;
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
    else reset(settings);
  });
  const pressData = choices($('.live-data'), Object.entries(DATA), 'ring', data => reset({ ...chosen(), data }));
  const names = recipes.map(({ name }) => [name, name]);
  const pressRecipe = choices($('.live-recipes'), names, null, name => {
    const recipe = recipes.find(one => one.name === name);
    reset({ ...recipe?.settings, data: gan.settings.data, seed: gan.settings.seed });
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
    if (name.endsWith('_rate')) return rates.includes(+wanted) ? +wanted : null;
    return Object.hasOwn(name === 'data' ? DATA : LOSSES, wanted) ? wanted : null;
  }
  address.restore(() => {
    const settings = Object.entries(first.settings).map(([name, usual]) => [name, asked(name, usual) ?? usual]);
    const wanted = Object.fromEntries(settings);
    if (!same(wanted, first.settings)) reset(wanted);
  });
  set(first.settings);
  show(first).then(() => {
    setRunning(false);
    onResize(stage.parentElement, paint);
    link.apply();
  });
  python.picture('Live', '.live-stage');
  onOpen('live', paint);
}
