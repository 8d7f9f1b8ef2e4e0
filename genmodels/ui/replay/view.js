// Films and losses of one training, or of two side by side, under one slider.

import { showSources, swatch } from '../common/about.js';
import { make, onResize } from '../common/dom.js';
import { fitWidth, loadImage, paintFrame } from '../common/pictures.js';
import { paintCurves, ROOM } from '../common/plots.js';
import { significant, stepOf, t, whole } from '../common/text.js';
import { frameCode } from '../films/view.js';

const COLOURS = ['--accent', '--generated', '--real', '--bad'];
/** @type {Record<string, string>} */
const NAMES = {
  loss: t`loss`,
  loss_d: t`discriminator`,
  loss_g: t`generator`,
  wasserstein_estimate: t`estimated Wasserstein distance`,
};

/** Which of rising steps comes last until one. @param {number[]} steps @param {number} step */
const lastAt = (steps, step) =>
  Math.max(
    0,
    steps.findLastIndex(s => s <= step),
  );

/** @param {Tab} tab */
export default function replay({ $, element, find, latest, link, onFirstOpen, page, python, server }) {
  const [slider, main, model, beside] = find('.replay-step', '.replay-main', '.replay-model', '.replay-beside');
  /** @type {ReturnType<typeof player>[]} */
  const players = [];
  const address = link.view('replay', { model: Object.keys(page.replays)[0] });
  /** The training step that is looked at, null for the last one. @type {number | null} */
  let at = null;

  /** One training. @param {string} name what its program is called */
  function player(name) {
    const film = make('canvas', {
      className: 'replay-film',
      role: 'img',
      'aria-label': t`The same latents during training`,
    });
    const curves = make('canvas', { className: 'replay-losses', role: 'img', 'aria-label': t`Losses over the steps` });
    const called = make('span', { className: 'replay-name' });
    const title = make('span', { className: 'note replay-title' });
    const losses = make('p', { className: 'replay-names figures' });
    const monitor = make('p', { className: 'note replay-monitor', lang: 'en' });
    const command = make('code', { className: 'replay-command' });
    const sources = make('p', { className: 'note sources' });
    const how = { tabIndex: 0, role: 'group', 'aria-label': t`The command that trained it` };
    const side = make(
      'div',
      { className: 'replay-side' },
      make('h2', {}, called, ' ', title),
      curves,
      losses,
      monitor,
      make('pre', how, command),
      sources,
    );
    const self = {
      name,
      root: make('section', { className: 'replay-one' }, film, side),
      wanted: '',
      /** The server's answer, its film loaded. @type {Record<string, any> | null} */
      shown: null,
      /** @param {number} step */
      paint(step) {
        if (!self.shown) return;
        paintFilm(self.shown, step);
        paintLosses(self.shown, step);
      },
      /** @param {boolean} two */
      fit(two) {
        if (!self.shown || !element.clientWidth) return;
        const narrow = element.clientWidth < 700;
        const room = narrow || !two ? element.clientWidth : (element.clientWidth - 32) / 2;
        fitWidth(film, self.shown.width, room, narrow ? self.shown.width : 2 * self.shown.width);
      },
      /** @param {string} wanted */
      load(wanted) {
        if (wanted === self.wanted) return;
        self.wanted = wanted;
        ask({ model: wanted });
      },
    };
    python.picture(name, () => [film]);
    /** @param {Record<string, any>} shown */
    const lastStep = ({ steps, curves }) => Math.max(steps.at(-1), curves.step.at(-1));

    /** @param {Record<string, any>} shown @param {number} step */
    function paintFilm({ code, columns, height, model, sheet, steps, width }, step) {
      // The frame that was made last at a step.
      const i = lastAt(steps, step);
      paintFrame(film, sheet, i, columns, width, height);
      python.set(name, frameCode(code, i), false);
      film.setAttribute('aria-label', `${model}: ${t`the same latents at step ${whole(steps[i])}`}`);
    }
    /** @param {Record<string, any>} shown @param {number} step */
    function paintLosses(shown, step) {
      /** @type {Record<string, number[]>} */
      const { step: steps, ...values } = shown.curves;
      const last = lastStep(shown);
      const now = Math.min(step, last);
      const series = Object.values(values).map(losses => losses.map((v, i) => [steps[i], v]));
      paintCurves(curves, { series, colours: COLOURS, last, least: 1e-3, now });
      const index = lastAt(steps, now);
      const entries = Object.entries(values).map(([loss, { [index]: v }], n) => {
        const words = `${NAMES[loss] ?? loss.replaceAll('_', ' ')} ${v === null ? '–' : significant(v, 3)}`;
        return make('span', {}, swatch(`var(${COLOURS[n % COLOURS.length]})`), words);
      });
      losses.replaceChildren(...entries);
    }
    const ask = latest(server.replay, async answer => {
      const sheet = await loadImage(answer.sprite);
      // Another training was chosen meanwhile.
      if (answer.model !== self.wanted) return;
      self.shown = { ...answer, sheet };
      called.textContent = page.replays[answer.model];
      title.textContent = answer.title;
      monitor.textContent = answer.monitor;
      command.textContent = answer.command;
      showSources(sources, { command: '', papers: answer.papers });
      arrange();
      if (main.clientWidth) python.focus(name);
    });
    const scrub = (/** @type {PointerEvent} */ event) => {
      if (!self.shown || (event.type === 'pointermove' && !event.buttons)) return;
      const box = curves.getBoundingClientRect();
      const step =
        ((event.clientX - box.left - ROOM.left) / (box.width - ROOM.left - ROOM.right)) * lastStep(self.shown);
      const distances = stops().map(s => Math.abs(s - step));
      slider.value = distances.indexOf(Math.min(...distances));
      seek();
    };
    curves.addEventListener('pointerdown', event => {
      curves.setPointerCapture(event.pointerId);
      scrub(event);
    });
    curves.addEventListener('pointermove', scrub);
    return self;
  }

  /** The slider stops at the frames of the longest training that is shown. @returns {number[]} */
  function stops() {
    const all = players.flatMap(({ shown }) => (shown ? [shown.steps] : []));
    return all.sort((a, b) => b.at(-1) - a.at(-1))[0] ?? [0];
  }
  function paint() {
    const all = stops();
    const last = all[all.length - 1];
    const step = all[+slider.value] ?? last;
    const text = stepOf(step, last);
    for (const one of players) one.paint(step);
    $('.replay-at').textContent = text;
    slider.setAttribute('aria-valuetext', text);
  }
  function arrange() {
    slider.max = stops().length - 1;
    slider.value = at === null ? slider.max : lastAt(stops(), at);
    fit();
  }
  function seek() {
    at = slider.value === slider.max ? null : stops()[+slider.value];
    remember();
    paint();
  }
  function fit() {
    const two = players.length === 2;
    main.classList.toggle('two', two);
    for (const one of players) one.fit(two);
    paint();
  }
  slider.addEventListener('input', seek);

  const known = Object.entries(page.replays);
  model.append(...known.map(([name, title]) => new Option(title, name)));
  beside.append(...[['', t`nothing`], ...known].map(([name, title]) => new Option(title, name)));
  const remember = () => address.set({ model: model.value, beside: beside.value || undefined, step: at ?? undefined });
  function choose() {
    const wanted = [model.value, beside.value].filter(Boolean);
    for (const { root, name } of players.splice(wanted.length)) {
      root.remove();
      python.drop(name);
    }
    while (players.length < wanted.length) {
      const added = player(['Replay', 'Replay beside'][players.length]);
      players.push(added);
      main.append(added.root);
    }
    players.forEach((one, i) => one.load(wanted[i]));
    arrange();
  }
  for (const menu of [model, beside]) {
    menu.addEventListener('change', () => {
      at = null;
      remember();
      choose();
    });
  }
  onFirstOpen('replay', () => {
    for (const [menu, name] of [
      [model, 'model'],
      [beside, 'beside'],
    ]) {
      menu.value = address.option(name, Object.keys(page.replays)) ?? menu.value;
    }
    at = address.count('step');
    choose();
  });
  onResize(main, fit);
}
