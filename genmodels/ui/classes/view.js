import { showSources } from '../common/about.js';
import { choices, make, onResize } from '../common/dom.js';
import { filmStrip, fitWidth, loadImage, paintFrame, wholeMultiple } from '../common/pictures.js';
import { signed, t } from '../common/text.js';
import { trainingFilm } from '../films/view.js';

const KEEP = 'keep the snippet';

/** @param {Tab} tab */
export default function classes(tab) {
  const { $, $$, begin, controls, element, find, latest, link, page, python, server } = tab;
  const state = { model: page.main, seed: page.seed, psi: 1, label: 0, pair: [0, 0] };
  const now = () => page.models[state.model];
  /** @returns {string[]} */
  const names = () => now().class_names;
  const [text, number, row, samples] = find('.text', '.number', '.row', '.samples');
  const [table, tableHead, large] = find('.table', '.table-head', '.large');
  const mixEnds = find('.from', '.to');
  text.value = page.text;
  const common = () => ({ model: state.model, seed: state.seed, psi: state.psi });
  function remember() {
    const [from, to] = state.pair.map(i => names()[i]);
    link.set({
      ...common(),
      ...(now().writes ? { labels: text.value } : {}),
      class: names()[state.label],
      from,
      to,
    });
  }
  // What another model drew, asked for before this one was chosen, is not shown.
  /** @param {(answer: Answer, focus: boolean) => unknown} show */
  const current = show => async (/** @type {any} */ answer, /** @type {{extra?: any}} */ job) => {
    if (answer.model === state.model) await show(answer, job.extra !== KEEP);
  };
  const first = () => names().slice(0, now().row);
  const colourOf = (/** @type {number} */ i) => `border-color: ${page.colours[i % page.colours.length]}`;

  /**
   * Cuts a strip into tiles, which wrap where the screen is narrow; `captions` go below them in their class's colour,
   * and `scores`.
   * @param {HTMLElement} root @param {string} uri @param {number} count @param {string} label
   * @param {string[] | null} captions @param {number[] | null} scores
   */
  async function tile(root, uri, count, label, captions, scores) {
    const strip = await loadImage(uri);
    if (root.childElementCount !== count) {
      const figures = Array.from({ length: count }, (_, i) => {
        const properties = captions ? { style: colourOf(i) } : { className: 'plain-caption' };
        const words = [make('span', {}, captions?.[i] ?? ''), make('span', { className: 'figures' })];
        return make('figure', {}, make('canvas'), make('figcaption', properties, ...words));
      });
      root.replaceChildren(...figures);
    }
    $$('.figures', root).forEach((score, i) => {
      score.textContent = scores ? signed(scores[i]) : '';
    });
    $$('canvas', root).forEach((canvas, i) => paintFrame(canvas, strip, i, count, now().size));
    root.setAttribute('aria-label', label);
    fit();
  }
  function fit() {
    const room = element.clientWidth;
    if (!room) return;
    const { size, row: classes } = now();
    const natural = number.dataset.columns * size;
    if (natural) fitWidth(number, natural, room, 5 * natural);
    const columns = room < 640 ? 5 : 10;
    const width = wholeMultiple(size, (room - 6 * (columns - 1)) / columns, 96);
    for (const part of $$('.tiles figure, .tiles canvas')) part.style.width = `${width}px`;
    for (const wide of [table, tableHead]) fitWidth(wide, size * classes, room, size * classes * 2);
    fitWidth(large, size, 196);
  }

  const showRow = current(async (answer, focus) => {
    const label = t`One latent as each of the classes ${first().join(', ')}`;
    await tile(row, answer.row, now().row, label, names(), answer.scores);
    $('.scored').hidden = !answer.scores;
    python.set('Every class', answer.code, focus);
  });
  const showSamples = current(async (answer, focus) => {
    const label = t`${page.per_class} images of class ${names()[state.label]}`;
    await tile(samples, answer.samples, page.per_class, label, null, answer.scores);
    python.set('One class', answer.code, focus);
  });
  const showTable = current(async (answer, focus) => {
    table.src = (await loadImage(answer.table)).src;
    table.alt = t`${page.styles} latents in rows, the classes ${first().join(', ')} in columns`;
    fit();
    python.set('Table', answer.code, focus);
  });
  const film = filmStrip({ strip: $('.strip'), slider: $('.t'), large, onMove: tellShare });
  const showMix = current(async (answer, focus) => {
    await film.set(answer.film);
    python.set('Mix', answer.code, focus);
  });
  const showNumber = current(async (answer, focus) => {
    problem('');
    number.src = (await loadImage(answer.number)).src;
    number.alt = t`The number ${text.value.trim()} in generated handwriting`;
    number.dataset.columns = answer.length;
    fit();
    number.hidden = false;
    python.set('Number', answer.code, focus);
  });
  function problem(/** @type {string} */ message) {
    $('.problem').textContent = t([message]);
    text.setAttribute('aria-invalid', String(Boolean(message)));
  }
  const askTable = latest(server.table, showTable);
  const askRow = latest(server.row, showRow);
  const askSamples = latest(server.samples, showSamples);
  const askMix = latest(server.mix, showMix);
  const askNumber = latest(server.write, showNumber, problem);
  const drawSamples = (/** @type {string} */ extra = '') => askSamples({ ...common(), label: state.label }, extra);
  const drawMix = (/** @type {string} */ extra = '') =>
    askMix({ ...common(), a: state.pair[0], b: state.pair[1] }, extra);
  const drawNumber = (/** @type {string} */ extra = '') => askNumber({ ...common(), text: text.value }, extra);

  function tellShare(/** @type {number} */ share) {
    const percent = Math.round(100 * share);
    const [from, to] = state.pair.map(i => names()[i]);
    $('.share').textContent = `${100 - percent}% ${from}, ${percent}% ${to}`;
  }
  // Everything anew; the snippet on show stays the one of the picture that was touched last.
  function drawAll() {
    remember();
    askRow(common(), KEEP);
    askTable(common(), KEEP);
    drawSamples(KEEP);
    drawMix(KEEP);
    if (now().writes) drawNumber(KEEP);
  }
  function setPair() {
    [$('.end.a'), $('.end.b')].forEach((end, i) => {
      end.textContent = names()[state.pair[i]];
      mixEnds[i].value = state.pair[i];
    });
    tellShare(+$('.t').value / +$('.t').max);
  }

  // The words and controls that depend on the model.
  const showFilm = trainingFilm(tab);
  /** @type {(label: number) => void} */
  let pressClass;
  function describe() {
    const { pair, writes, film: reel, sources } = now();
    Object.assign(state, { label: pair[0], pair: [...pair] });
    for (const root of [row, samples]) root.replaceChildren();
    tableHead.replaceChildren(...first().map((name, i) => make('span', { style: colourOf(i) }, make('b', {}, name))));
    pressClass = classPicker();
    for (const end of mixEnds) end.replaceChildren(...names().map((name, i) => new Option(name, String(i))));
    setPair();
    $('.writer').hidden = !writes;
    if (!writes) python.drop('Number');
    showSources($('.sources'), sources);
    showFilm(reel);
  }
  // Buttons for a few classes, a list for many; returns what presses one.
  function classPicker() {
    const options = names().map((name, i) => /** @type {const} */ ([i, name]));
    if (options.length <= 10) {
      const group = make('span', { className: 'choices', role: 'group', 'aria-label': t`Class` });
      $('.pick').replaceChildren(group);
      return choices(group, options, state.label, choose);
    }
    const select = make('select', {}, ...options.map(([i, name]) => new Option(name, String(i))));
    select.value = String(state.label);
    select.addEventListener('change', () => choose(select.value));
    $('.pick').replaceChildren(make('label', {}, t`Class`, select));
    return (/** @type {number} */ label) => {
      select.value = String(label);
    };
  }
  function choose(/** @type {number | string} */ label) {
    state.label = +label;
    remember();
    drawSamples();
  }

  python.picture('Number', '.number');
  python.picture('Every class', '.row canvas');
  python.picture('One class', '.samples canvas');
  python.picture('Table', '.table');
  python.picture('Mix', '.mixer .strip canvas');
  const menus = controls('', state, drawAll, { models: page.models, changed: describe });
  link.restore(() => {
    menus.restore(link);
    const [label, from, to] = ['class', 'from', 'to'].map(name => names().indexOf(link.option(name, names()) ?? ''));
    const labels = link.get('labels');
    if (now().writes && labels !== null) text.value = labels.slice(0, text.maxLength);
    if (label >= 0) {
      state.label = label;
      pressClass(label);
    }
    if (from >= 0 && to >= 0) {
      state.pair = [from, to];
      setPair();
    }
    drawAll();
  });
  text.addEventListener('input', () => {
    remember();
    drawNumber();
  });
  mixEnds.forEach((menu, i) => {
    menu.addEventListener('change', () => {
      state.pair[i] = +menu.value;
      setPair();
      remember();
      drawMix();
    });
  });
  describe();

  begin(async prepared => {
    const keep = { extra: KEEP };
    if (prepared.number) await showNumber(prepared.number, keep);
    await showRow(prepared.row, keep);
    await showSamples(prepared.samples, keep);
    await showTable(prepared.table, keep);
    await showMix(prepared.mix, keep);
    onResize(element, fit);
  });
}
