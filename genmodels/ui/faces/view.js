// Arithmetic with attributes: a face, drawn or the visitor's, and the strengths of what is added to it.
import { showSources } from '../common/about.js';
import { clamp, make, makeButton, onRelease, onResize } from '../common/dom.js';
import { fitWidth, loadImage, paintFrame, paintRaw, penOf, rawOf } from '../common/pictures.js';
import { signed, significant, t, whole } from '../common/text.js';

const words = (/** @type {string} */ name) => name.replaceAll('_', ' ');

/** @param {Tab} tab */
export default function faces(tab) {
  const { $, controls, element, find, latest, link, noticeIn, onFirstOpen, page, python, server } = tab;
  const { count, limit, size, steps } = page.faces;
  const [view, tiles, before, after] = find('.faces-view', '.face-tiles', '.face-before', '.face-after');
  const state = {
    seed: page.faces.seed,
    index: 0,
    /** A photo's latent. @type {number[] | null} */
    z: null,
    /** @type {number[] | null} */
    square: null,
    photo: false,
    /** @type {Record<string, number>} */
    strengths: {},
    /** @type {HTMLImageElement | null} */
    sheet: null,
  };
  const told = noticeIn($('.faces-notice'));
  const address = link.view('faces', { seed: state.seed, face: 0, add: '', axes: '0,1', sum: '1,6,3' });
  const chosen = () => (state.z ? { z: state.z, square: state.square } : { seed: state.seed, index: state.index });

  /** @param {Answer} answer @param {Job} job */
  const showEdit = (answer, job) => {
    paintRaw(after, answer.picture, size, 3);
    python.set('Face', answer.code);
    view.dispatchEvent(new CustomEvent('edited', { detail: { ms: performance.now() - job.since } }));
  };
  const askEdit = latest(server.edit, showEdit, told, told);
  function edit() {
    remember();
    askEdit({ ...chosen(), strengths: state.strengths });
  }
  // What stands in the address; a photo cannot.
  function remember() {
    const strengths = Object.values(state.strengths);
    address.set({
      seed: state.seed,
      face: state.z ? undefined : state.index,
      add: strengths.some(Boolean) ? strengths : '',
      axes: axes[0].value === axes[1].value ? undefined : axes.map(axis => axis.selectedIndex),
      sum: Object.values(sum),
    });
  }

  /**
   * Buttons with a canvas each, at the end of a root: the canvases.
   * @param {HTMLElement} root @param {number} length @param {(i: number) => void} click
   * @param {(i: number) => string} [label]
   */
  const canvasButtons = (root, length, click, label) =>
    Array.from({ length }, (_, i) => {
      const canvas = document.createElement('canvas');
      const button = makeButton(label ? { 'aria-label': label(i) } : {}, () => click(i), canvas);
      root.append(button);
      return { button, canvas };
    });
  const cells = canvasButtons(tiles, count, choose, i => t`Face ${i + 1}`);
  tiles.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const columns = getComputedStyle(tiles).gridTemplateColumns.split(' ').length;
    /** @type {Record<string, number>} */
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const by = moves[event.key];
    if (!by) return;
    event.preventDefault();
    const to = state.index + by;
    if (!cells[to]) return;
    choose(to);
    cells[to].button.focus();
  });
  function press(/** @type {number} */ index) {
    cells.forEach(({ button }, i) => button.setAttribute('aria-pressed', String(i === index)));
    $('.photo-stage').classList.toggle('now', index < 0);
  }

  function choose(/** @type {number} */ index) {
    Object.assign(state, { index, z: null, photo: false });
    press(index);
    if (state.sheet) paintFrame(before, state.sheet, index, count, size);
    edit();
    drawGrid();
  }

  /** @param {string} name @param {number} value */
  function setStrength(name, value) {
    const slider = $(`.face-sliders [data-name="${CSS.escape(name)}"]`);
    const text = signed(value);
    state.strengths[name] = slider.value = value;
    slider.parentElement.querySelector('output').textContent = text;
    slider.setAttribute('aria-valuetext', text);
  }
  const clear = () => {
    for (const name of Object.keys(state.strengths)) setStrength(name, 0);
  };
  function sliders(/** @type {string[]} */ names) {
    const labels = names.map(name => {
      const slider = make('input', { type: 'range', min: -limit, max: limit, step: 0.1, 'data-name': name });
      slider.addEventListener('input', () => {
        setStrength(name, +slider.value);
        edit();
      });
      return make('label', {}, make('span', {}, words(name)), slider, make('output'));
    });
    $('.face-sliders').replaceChildren(...labels);
    for (const name of names) setStrength(name, 0);
  }
  $('.face-reset').addEventListener('click', () => {
    clear();
    edit();
  });

  // Two attributes on two axes. The rows go from the largest strength down.
  const axes = find('.factor-a', '.factor-b');
  const strengthsAt = (/** @type {number} */ i) =>
    [i % steps, steps - 1 - Math.floor(i / steps)].map(v => limit * ((2 * v) / (steps - 1) - 1));
  const spots = canvasButtons($('.factor-grid'), steps * steps, i => {
    clear();
    strengthsAt(i).forEach((strength, which) => setStrength(axes[which].value, strength));
    edit();
  });
  spots[(spots.length - 1) / 2].button.className = 'middle';
  /** @param {Answer} answer @param {Job} job */
  const showGrid = async (answer, job) => {
    const { a, b } = job.payload;
    const sheet = await loadImage(answer.grid);
    spots.forEach(({ button, canvas }, i) => {
      paintFrame(canvas, sheet, i, spots.length, size);
      const [x, y] = strengthsAt(i).map(v => signed(v));
      button.setAttribute('aria-label', `${words(a)} ${x}, ${words(b)} ${y}`);
    });
    const end = significant(limit, 2);
    $('.factor-right').textContent = `−${end}  ←  ${words(a)}  →  +${end}`;
    $('.factor-up').textContent = `−${end}  ←  ${words(b)}  →  +${end}`;
    python.set('Grid', answer.code, job.extra);
    $('.factor-grid').dataset.axes = `${a} ${b}`;
  };
  const askGrid = latest(server.factors, showGrid, told, told);
  function drawGrid(focus = false) {
    remember();
    const [a, b] = axes.map(axis => axis.value);
    if (a !== b) askGrid({ ...chosen(), a, b }, focus);
  }
  function factors(/** @type {string[]} */ names) {
    $('.faces-factors').hidden = names.length < 2;
    const asked = address.numbers('axes', 2) ?? [];
    const known = asked[0] !== asked[1] && asked.every(i => Number.isInteger(i) && names[i]);
    const last = [0, 0];
    axes.forEach((axis, which) => {
      axis.replaceChildren(...names.map(name => new Option(words(name), name)));
      last[which] = axis.selectedIndex = known ? asked[which] : Math.min(which, names.length - 1);
      axis.addEventListener('change', () => {
        // The other axis takes what this one leaves.
        const other = 1 - which;
        if (axis.value === axes[other].value) last[other] = axes[other].selectedIndex = last[which];
        last[which] = axis.selectedIndex;
        drawGrid(true);
      });
    });
  }

  // The photo: it stays in the page; only the aligned square, as small as the model's images, is sent.
  const [stage, zoom, says] = find('.photo-stage', '.photo-zoom', '.photo-says');
  const small = make('canvas', { width: size, height: size });
  const photo = { image: new Image(), x: 0, y: 0 };
  /** Where the pointer that moves it was last. @type {number[] | null} */
  let from = null;
  const sideOf = () => Math.max(1, Math.min(photo.image.width, photo.image.height) / +zoom.value);
  /** @param {Answer} answer @param {Job} job */
  const showPhoto = (answer, job) => {
    if (!state.photo) return;
    Object.assign(state, { z: answer.z, square: job.payload.square });
    press(-1);
    for (const canvas of [$('.photo-back'), before]) paintRaw(canvas, answer.picture, size, 3);
    says.textContent = t`The encoder squeezed ${whole(3 * size * size)} values into ${answer.z.length} numbers. What
      this bottleneck loses is lost, before anything is added or taken away.`;
    edit();
    if (job.extra) drawGrid();
  };
  const askPhoto = latest(server.photo, showPhoto, told, told);
  function sendPhoto(/** @type {boolean} */ settled) {
    const side = sideOf();
    photo.x = clamp(photo.x, side / 2, photo.image.width - side / 2);
    photo.y = clamp(photo.y, side / 2, photo.image.height - side / 2);
    const [left, top, length] = [photo.x - side / 2, photo.y - side / 2, side].map(Math.floor);
    for (const canvas of [stage, small]) {
      const { width, height } = canvas;
      const context = penOf(canvas, { willReadFrequently: true });
      context.imageSmoothingQuality = 'high';
      context.clearRect(0, 0, width, height);
      context.drawImage(photo.image, left, top, length, length, 0, 0, width, height);
    }
    state.photo = true;
    askPhoto({ photo: rawOf(small, 3), square: [left, top, length] }, settled);
  }
  $('.photo-file').addEventListener('change', async () => {
    const file = $('.photo-file').files[0];
    if (!file) return;
    const uri = URL.createObjectURL(file);
    try {
      photo.image = await loadImage(uri);
      // A drawing in vectors may have no size.
      if (!photo.image.width || !photo.image.height) throw new Error('no pixels');
    } catch {
      says.textContent = t`That file is no picture that this browser can show.`;
      return;
    } finally {
      URL.revokeObjectURL(uri);
    }
    Object.assign(photo, { x: photo.image.width / 2, y: photo.image.height / 2 });
    zoom.value = 1;
    $('.photo-body').hidden = false;
    sendPhoto(true);
  });
  zoom.addEventListener('input', () => sendPhoto(false));
  zoom.addEventListener('change', () => sendPhoto(true));
  stage.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    stage.setPointerCapture(event.pointerId);
    from = [event.clientX, event.clientY];
  });
  stage.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => {
    if (!from) return;
    const unit = sideOf() / stage.clientWidth;
    photo.x -= (event.clientX - from[0]) * unit;
    photo.y -= (event.clientY - from[1]) * unit;
    from = [event.clientX, event.clientY];
    sendPhoto(false);
  });
  onRelease(stage, () => {
    from = null;
    sendPhoto(true);
  });
  stage.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    /** @type {Record<string, number[]>} */
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const by = moves[event.key];
    if (!by) return;
    photo.x += (by[0] * sideOf()) / 50;
    photo.y += (by[1] * sideOf()) / 50;
    sendPhoto(true);
    event.preventDefault();
  });
  says.textContent = server.photo?.parts
    ? t`It is cut to a square, made small and encoded in this page; only if that fails, those ${size} × ${size} pixels
      go to the server, if there is one, which stores nothing.`
    : t`It is cut to a square and made small in this page; only those ${size} × ${size} pixels go to the server, which
      stores nothing.`;

  // A - B + C, each chosen from the faces of the seed.
  /** @type {Record<string, number>} */
  const sum = { a: 1, b: 6, c: 3 };
  /** @param {Answer} answer @param {Job} job */
  const showSum = (answer, job) => {
    paintRaw($('.face-sum'), answer.picture, size, 3);
    python.set('Arithmetic', answer.code, job.extra);
  };
  const askSum = latest(server.arithmetic, showSum, told, told);
  function addUp(/** @type {boolean} */ focus) {
    remember();
    askSum({ seed: state.seed, ...sum }, focus);
  }
  const terms = Object.entries({ a: 'A', b: '− B', c: '+ C' }).map(([term, sign]) => {
    const row = make('div', { role: 'group', 'aria-label': t`Face ${term.toUpperCase()}` }, make('span', {}, sign));
    const click = (/** @type {number} */ i) => {
      sum[term] = i;
      pressTerms();
      addUp(true);
    };
    $('.sum-rows').append(row);
    return { term, buttons: canvasButtons(row, count, click, i => t`${sign}: face ${i + 1}`) };
  });
  function pressTerms() {
    for (const { term, buttons } of terms) {
      buttons.forEach(({ button }, i) => button.setAttribute('aria-pressed', String(sum[term] === i)));
    }
  }

  const showFaces = async (/** @type {Answer} */ answer) => {
    const sheet = await loadImage(answer.sheet);
    state.sheet = sheet;
    for (const buttons of [cells, ...terms.map(term => term.buttons)]) {
      buttons.forEach(({ canvas }, i) => paintFrame(canvas, sheet, i, count, size));
    }
    if (!$('.face-sliders').childElementCount) {
      const { names } = answer;
      sliders(names);
      factors(names);
      for (const [i, v] of (address.numbers('add') ?? []).slice(0, names.length).entries()) {
        setStrength(names[i], Math.round(10 * clamp(v, -limit, limit)) / 10);
      }
      $('.held-fixed').hidden = !answer.held_fixed;
      $('.faces-bench').hidden = false;
    }
    choose(state.index);
    pressTerms();
    addUp(false);
    view.dataset.seed = answer.seed;
  };
  const ask = latest(server.faces, showFaces, told, told);
  const draw = () => ask({ seed: state.seed });
  const menus = controls('', state, draw);
  $('.faces-bench').hidden = true;
  onResize(view, () => {
    const room = $('.face-pair').clientWidth;
    if (!room) return;
    const most = element.clientWidth < 700 ? 170 : 256;
    for (const canvas of [before, after, $('.face-sum')]) fitWidth(canvas, size, room / 2 - 8, most);
  });
  python.picture('Arithmetic', '.face-sum');
  python.picture('Face', '.face-after');
  python.picture('Grid', '.factor-grid canvas', () => steps);
  showSources($('.faces-sources'), page.faces.sources);
  onFirstOpen('faces', () => {
    menus.restore(address);
    state.index = address.count('face', count - 1) ?? state.index;
    const asked = address.numbers('sum', 3);
    if (asked?.every(i => cells[i])) Object.assign(sum, { a: asked[0], b: asked[1], c: asked[2] });
    draw();
  });
}
