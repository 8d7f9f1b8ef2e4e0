// Films and losses of one training, or of two side by side, under one slider.

import { showSources, swatch } from '../common/about.js';
import { make, onResize } from '../common/dom.js';
import { fitWidth, loadImage, paintFrame } from '../common/pictures.js';
import { paintCurves, ROOM } from '../common/plots.js';
import { significant, stepOf, t, whole } from '../common/text.js';
import { frameCode } from '../films/view.js';

const COLOURS = ['--accent', '--generated', '--real', '--bad'];
const NAMES = {
  loss: t`loss`,
  loss_d: t`discriminator`,
  loss_g: t`generator`,
  wasserstein_estimate: t`estimated Wasserstein distance`,
};

/** @param {import('../common/tab.js').Tab} tab */
export default function replay({ $, element, latest, link, onFirstOpen, page, python, server }) {
  const [slider, main, model, beside] = ['.replay-step', '.replay-main', '.replay-model', '.replay-beside'].map(name =>
    $(name),
  );
  const players = [];
  const address = link.view('replay', { model: Object.keys(page.replays)[0] });
  // The training step that is looked at, null for the last one.
  let at = null;

  // One training; `shown` is the server's answer, `name` what its program is called.
  function player(name) {
    const film = make('canvas', {
      className: 'replay-film',
      role: 'img',
      'aria-label': t`The same latents during training`,
    });
    const curves = make('canvas', { className: 'replay-losses', role: 'img', 'aria-label': t`Losses over the steps` });
    const place = (tag, className, properties = {}) => make(tag, { className, ...properties });
    const called = place('span', 'replay-name');
    const title = place('span', 'note replay-title');
    const losses = place('p', 'replay-names figures');
    const monitor = place('p', 'note replay-monitor', { lang: 'en' });
    const command = place('code', 'replay-command');
    const sources = place('p', 'note sources');
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
      wanted: null,
      shown: null,
      sheet: null,
      paint(step) {
        if (!self.shown) return;
        paintFilm(step);
        paintLosses(step);
      },
      fit(two) {
        if (!self.shown || !element.clientWidth) return;
        const narrow = element.clientWidth < 700;
        const room = narrow || !two ? element.clientWidth : (element.clientWidth - 32) / 2;
        fitWidth(film, self.shown.width, room, narrow ? self.shown.width : 2 * self.shown.width);
      },
      load(wanted) {
        if (wanted === self.wanted) return;
        self.wanted = wanted;
        ask({ model: wanted });
      },
    };
    python.picture(name, () => [film]);
    const lastStep = () => Math.max(self.shown.steps.at(-1), self.shown.curves.step.at(-1));

    function paintFilm(step) {
      const { code, columns, height, steps, width } = self.shown;
      // The frame that was made last at a step.
      const i = Math.max(
        0,
        steps.findLastIndex(s => s <= step),
      );
      paintFrame(film, self.sheet, i, columns, width, height);
      python.set(name, frameCode(code, i), false);
      film.setAttribute('aria-label', `${self.shown.model}: ${t`the same latents at step ${whole(steps[i])}`}`);
    }
    function paintLosses(step) {
      const { step: steps, ...values } = self.shown.curves;
      const now = Math.min(step, lastStep());
      const series = Object.values(values).map(losses => losses.map((v, i) => [steps[i], v]));
      paintCurves(curves, { series, colours: COLOURS, last: lastStep(), least: 1e-3, now });
      const index = Math.max(
        0,
        steps.findLastIndex(s => s <= now),
      );
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
      self.sheet = sheet;
      self.shown = answer;
      called.textContent = page.replays[answer.model];
      title.textContent = answer.title;
      monitor.textContent = answer.monitor;
      command.textContent = answer.command;
      showSources(sources, { command: '', papers: answer.papers });
      arrange();
      if (main.clientWidth) python.focus(name);
    });
    const scrub = event => {
      if (!self.shown || (event.type === 'pointermove' && !event.buttons)) return;
      const box = curves.getBoundingClientRect();
      const step = ((event.clientX - box.left - ROOM.left) / (box.width - ROOM.left - ROOM.right)) * lastStep();
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

  // The slider stops at the frames of the longest training that is shown.
  function stops() {
    const all = players.filter(one => one.shown).map(one => one.shown.steps);
    return all.sort((a, b) => b.at(-1) - a.at(-1))[0] ?? [0];
  }
  function paint() {
    const all = stops();
    const step = all[+slider.value] ?? all.at(-1);
    const text = stepOf(step, all.at(-1));
    for (const one of players) one.paint(step);
    $('.replay-at').textContent = text;
    slider.setAttribute('aria-valuetext', text);
  }
  function arrange() {
    slider.max = stops().length - 1;
    slider.value =
      at === null
        ? slider.max
        : Math.max(
            0,
            stops().findLastIndex(step => step <= at),
          );
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
    while (players.length > wanted.length) {
      const { root, name } = players.pop();
      root.remove();
      python.drop(name);
    }
    while (players.length < wanted.length) {
      players.push(player(['Replay', 'Replay beside'][players.length]));
      main.append(players.at(-1).root);
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
      const wanted = address.get(name);
      if (Object.hasOwn(page.replays, wanted ?? '')) menu.value = wanted;
    }
    at = address.count('step');
    choose();
  });
  onResize(main, fit);
}
