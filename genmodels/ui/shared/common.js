// Shared by all tabs; stands in front of each tab's own script.
const page = JSON.parse(props.page);
// The texts in the browser's language, by the English ones; English itself where it has none.
const [LANGUAGE, words] = (() => {
  const all = window.gradio_config?.i18n_translations ?? {}, language = navigator.language.slice(0, 2);
  return all[language] ? [language, all[language]] : ['en', {}];
})();
// t`step ${3} of ${5}` looks for "step {0} of {1}".
function t(parts, ...values) {
  const text = parts.reduce((joined, part, i) => `${joined}{${i - 1}}${part}`);
  return (words[text] ?? text).replace(/\{(\d)\}/g, (_, i) => values[i]);
}
// The texts of the page as it was written: those of whole elements with what is bold or linked in them, of lone pieces, of attributes.
(function translate(root) {
  const known = text => words[text.replace(/\s+/g, ' ').trim()];
  for (const name of ['aria-label', 'title', 'placeholder']) if (root.hasAttribute?.(name)) root.setAttribute(name, known(root.getAttribute(name)) ?? root.getAttribute(name));
  const whole = known(root.innerHTML ?? '');
  if (whole) root.innerHTML = whole;
  else for (const child of [...root.childNodes]) {
    if (child.nodeType === Node.ELEMENT_NODE) translate(child);
    else if (child.nodeType === Node.TEXT_NODE && known(child.data)) child.data = child.data.replace(child.data.trim(), () => known(child.data));
  }
})(element);
element.lang = LANGUAGE;
const $ = (selector, root = element) => root.querySelector(selector);
const pause = ms => new Promise(done => setTimeout(done, ms));
const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
// Every number in a text is written as the page's language does: with so many decimals, or with so many digits at most.
const decimal = (v, digits) => v.toLocaleString(LANGUAGE, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const significant = (v, digits) => v.toLocaleString(LANGUAGE, { maximumSignificantDigits: digits });
const signed = (v, plus = '+') => (v < 0 ? '−' : plus) + decimal(Math.abs(v), 2);
const WARMING = t`Warming up: the networks are being loaded, a few seconds more.`;

function notice(message, bad = false) {
  const text = t([message]), place = $('.notice');
  if (place.textContent !== text) place.textContent = text;
  place.hidden = !text;
  place.classList.toggle('bad', bad);
}

// The address says what is shown, so that it can be kept and sent: ?tab=classes&seed=7&labels=2026. What stands in it is a
// wish: the controls take what they know, and the server bounds the rest. Of a tab's views it tells the one that is shown.
const TAB_NAMES = { map: 'Map', samples: 'Samples', classes: 'Classes', real_or_fake: 'Real or fake?', training: 'Training' };
const link = (() => {
  const given = new URLSearchParams(location.search), panel = element.closest('[role="tabpanel"]');
  const ours = given.get('tab') === page.tab || (!panel && !given.has('tab'));
  const own = ([name]) => name !== 'tab' && name !== 'show' && !name.startsWith('__');
  // What is said of each view; '' are all views, or a tab that has none. The view that the address asks for, the first one, and the one on show.
  const values = { '': ours ? Object.fromEntries([...given].filter(own)) : {} }, restores = [];
  let asked = '', first = '', shown = '';
  // A tab that is put together after another one was opened by the visitor.
  let hidden = Boolean(panel && document.documentElement.dataset.opened && !ours), soon = 0;
  // Browsers do not like many changes of the address at once.
  function write() {
    clearTimeout(soon);
    soon = setTimeout(() => {
      if (!element.clientWidth) return;
      const others = [...new URLSearchParams(location.search)].filter(([name]) => name.startsWith('__'));
      const where = [...(panel ? [['tab', page.tab]] : []), ...(shown === first ? [] : [['show', shown]])];
      const params = new URLSearchParams([...others, ...where, ...Object.entries({ ...values[shown], ...values[''] })]);
      history.replaceState(history.state, '', `?${String(params).replaceAll('%2C', ',')}${location.hash}`);
    }, 300);
  }
  // When a visitor changes to this tab.
  new ResizeObserver(() => {
    if (hidden && element.clientWidth) write();
    hidden = !element.clientWidth;
  }).observe(element);
  // The other tabs are put together when they are opened: the first that is there opens the wanted one, once.
  const root = document.documentElement, wanted = TAB_NAMES[given.get('tab')] && t([TAB_NAMES[given.get('tab')]]);
  const open = () => {
    const tab = [...document.querySelectorAll('[role="tab"]')].find(button => button.textContent.trim() === wanted);
    if (tab) tab.click(); else if (element.isConnected) setTimeout(open, 100);
  };
  if (panel && wanted && !ours && !root.dataset.opened) open();
  root.dataset.opened = true;
  // The part of the address that is about a view; what is as `usual` is left out.
  const at = (view, usual = {}) => {
    const wanted = () => ours && (!view || view === asked), get = name => wanted() ? given.get(name) : null;
    const within = (number, low, high) => number >= low && number <= high ? number : null;
    return {
      get,
      // A whole number, null if the address has none in this range.
      count: (name, most = Infinity, least = 0) => /^\d{1,10}$/.test(get(name) ?? '') ? within(+get(name), least, most) : null,
      // Numbers between commas, in so many places, null if the address has anything else.
      numbers(name, places) {
        const found = (get(name) ?? '').split(',').map(parseFloat);
        return found.every(Number.isFinite) && (!places || found.length === places) ? found : null;
      },
      set(changes) {
        const told = Object.entries({ ...values[view], ...changes }).filter(([name, value]) => value !== undefined && String(value) !== String(usual[name]));
        values[view] = Object.fromEntries(told);
        write();
      },
      // Runs once the tab has its first pictures, if the address asks this view for anything.
      restore(run) { restores.push(() => { if (wanted()) run(); }); },
    };
  };
  return {
    ...at(''),
    view: at,
    // The tab's views in their order: returns which one the address opens.
    views(names) {
      first = names[0];
      asked = shown = ours && names.includes(given.get('show')) ? given.get('show') : first;
      Object.assign(values, { '': {}, [asked]: values[''] });
      return asked;
    },
    show(name) { shown = name; write(); },
    apply() { restores.forEach(run => run()); },
  };
})();

// Gradio's client gives `undefined` for what it could not fetch. Told is what hinders, longer and longer waits lie between two tries,
// and a network that is back ends them.
const LOST = t`The server does not answer; trying again.`, BUSY = t`The server is busy; trying again.`, SLOW = t`Still waiting for the server.`;
const SLOW_MS = 10_000, LOST_MS = 120_000, MOST_MS = 5000;
const pauseOffline = ms => new Promise(done => {
  const go = () => { clearTimeout(timer); removeEventListener('online', go); done(); };
  const timer = setTimeout(go, ms);
  addEventListener('online', go);
});
// The answer of a server function, asked for again until there is one; null once it is no longer `wanted()`.
async function answerOf(call, payload, wanted, tell = notice) {
  for (let tries = 0; ; tries++) {
    let slow, lost;
    const late = new Promise(done => { slow = setTimeout(() => tell(SLOW), SLOW_MS); lost = setTimeout(done, LOST_MS); });
    const answer = await Promise.race([call(payload), late]).catch(() => null);
    clearTimeout(slow);
    clearTimeout(lost);
    if (answer && ['ok', 'error'].includes(answer.status)) return answer;
    if (!wanted()) return null;
    const known = { loading: [WARMING, 400], busy: [BUSY, 1000 * answer?.retry * (0.5 + Math.random())] };
    const [text, ms] = known[answer?.status] ?? [LOST, Math.min(500 * 2 ** tries, MOST_MS)];
    tell(text);
    await pauseOffline(ms);
    if (!wanted()) return null;
  }
}

// Calls `call` with the newest payload only, one request in flight, and waits politely for what hinders an answer, which it tells.
function latest(call, show, fail = message => notice(message, true), tell = notice) {
  let busy = false, next = null;
  async function pump() {
    if (busy || !next) return;
    busy = true;
    const job = next;
    next = null;
    try {
      const answer = await answerOf(call, job.payload, () => element.isConnected && !next, tell);
      if (answer) tell('');
      if (answer?.status === 'error') fail(t([answer.message]));
      else if (answer) await show(answer, job);
    } finally {
      busy = false;
      pump();
    }
  }
  return (payload, extra) => { next = { payload, extra, since: performance.now() }; pump(); };
}

// The seed's field, the button for a new one and, where the tab has it, the truncation slider: into `state`, then `draw`. Returns
// what takes them from an address.
function controls(state, draw) {
  const seed = $('.seed'), psi = $('.psi');
  $('.new').addEventListener('click', () => {
    state.seed = Math.floor(Math.random() * 100000);
    seed.value = state.seed;
    draw();
  });
  seed.addEventListener('input', () => {
    if (!seed.checkValidity() || seed.value === '') return;
    state.seed = +seed.value;
    draw();
  });
  const setPsi = value => {
    state.psi = value;
    $('.psi-value').textContent = decimal(value, 2);
  };
  psi?.addEventListener('input', () => { setPsi(+psi.value); draw(); });
  return address => {
    const wanted = address.count('seed', page.max_seed), share = parseFloat(address.get('psi'));
    if (wanted !== null) state.seed = seed.value = wanted;
    if (psi && share >= 0 && share <= page.max_psi) { psi.value = share; setPsi(share); }
  };
}

function loadImage(uri) {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = failed;
    image.src = uri;
  });
}

// Paints picture `index` of a sheet onto a canvas in the pictures' own size; CSS enlarges it.
function paintFrame(canvas, image, index, columns, size) {
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext('2d');
  context.imageSmoothingEnabled = false;
  context.drawImage(image, (index % columns) * size, Math.floor(index / columns) * size, size, size, 0, 0, size, size);
}

// Paints bytes, grey or RGB.
function paintBytes(canvas, bytes, size, channels) {
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext('2d'), image = context.createImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[i * channels + (channels === 3 ? c : 0)];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
// The same in base64.
function paintRaw(canvas, data, size, channels) {
  paintBytes(canvas, Uint8Array.from(atob(data), letter => letter.charCodeAt(0)), size, channels);
}

// The width at which each of `natural` pixels covers a whole number of the screen's, as large as fits: pixels stay square.
// Below twice the size that would cost too much of a small screen: there all of the width is used.
function wholeMultiple(natural, available, most) {
  const width = Math.min(available, most), times = Math.floor(width * devicePixelRatio / natural);
  return times >= 2 ? natural * times / devicePixelRatio : width;
}

// Calls `fit` now and whenever the width of the tab changes.
function onResize(target, fit) {
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(target);
}

// A strip that shows every `perStep`-th frame of a film, and a slider that plays the film on a large canvas. A film is one row.
function filmStrip({ strip, slider, large, frames = 25, perStep = 3, onMove = () => {} }) {
  let film = null;
  const steps = (frames - 1) / perStep + 1;
  const cells = Array.from({ length: steps }, (_, i) => {
    const cell = document.createElement('canvas');
    cell.className = 'cell';
    cell.addEventListener('pointerdown', () => { slider.value = i * perStep; move(); });
    strip.append(cell);
    return cell;
  });
  slider.max = frames - 1;
  const paint = () => { if (film && large) paintFrame(large, film, +slider.value, frames, film.height); };
  const mark = () => cells.forEach((cell, i) => cell.classList.toggle('now', Math.abs(+slider.value - i * perStep) < perStep / 2));
  function move() { paint(); mark(); onMove(+slider.value / (frames - 1)); }
  slider.addEventListener('input', move);
  mark();
  return {
    async set(uri) {
      film = await loadImage(uri);
      cells.forEach((cell, i) => paintFrame(cell, film, i * perStep, frames, film.height));
      paint();
    },
  };
}

// How a model on show was trained, by one command or each from where the one before ended, and the papers, behind its name where there are several.
function showSources({ command, papers }, place = $('.sources'), name = '') {
  const commands = command.split('\n').flatMap((line, i) => [i ? ' → ' : '', Object.assign(document.createElement('code'), { textContent: line })]);
  const links = Object.entries(papers).map(([name, address]) => Object.assign(document.createElement('a'), { href: address, textContent: name }));
  const listed = links.flatMap((link, i) => [i ? ', ' : '', link]);
  place.replaceChildren(...(name && (command || links.length) ? [`${name}: `] : []), ...(command ? [`${t`Trained by`} `, ...commands, '. '] : []), ...(links.length ? [`${links.length > 1 ? t`Papers` : t`Paper`}: `, ...listed, '.'] : []));
}

// What was measured of a generator, in words.
function measured({ quality, diversity, dataset }) {
  const [fid, fidFloor, recall, recallFloor] = [...quality, ...diversity].map((v, i) => significant(v, i % 2 ? 2 : 3));
  return t`FID ${fid} (floor ${fidFloor}), recall ${recall} (floor ${recallFloor}), against ${dataset}`;
}

const stepOf = (step, last) => t`step ${step.toLocaleString(LANGUAGE)} of ${last.toLocaleString(LANGUAGE)}`;

// The program of a film's frame, for another one.
const frameCode = (code, i) => code.replace(/film\.seek\(\d+\)/, `film.seek(${i})`);
// The film of a model's training under a slider, fetched when it comes into view. `show(null)` hides it.
function trainingFilm() {
  const root = $('.training'), canvas = $('canvas', root), slider = $('.step', root), output = $('output', root);
  let wanted = null, film = null, sheet = null, near = false;
  function paint(touched = true) {
    const i = +slider.value, { columns, width, height, steps } = film;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext('2d').drawImage(sheet, i % columns * width, Math.floor(i / columns) * height, width, height, 0, 0, width, height);
    const text = stepOf(steps[i], steps.at(-1));
    output.textContent = text;
    slider.setAttribute('aria-valuetext', text);
    canvas.setAttribute('aria-label', t`The same latents at ${text}`);
    python.set('Film', frameCode(film.code, i), touched);
    fit();
  }
  function fit() {
    if (film && element.clientWidth) canvas.style.width = `${wholeMultiple(film.width, root.clientWidth, 2 * film.width)}px`;
  }
  const ask = latest(server.film, async answer => {
    if (wanted !== answer.model) return;
    sheet = await loadImage(answer.sprite);
    film = answer;
    slider.max = slider.value = film.count - 1;
    $('.waiting', root).hidden = true;
    $('.reel', root).hidden = false;
    paint(false);
  }, message => { $('.waiting', root).textContent = message; });
  const fetchIt = () => { if (near && wanted && film?.model !== wanted) ask({ model: wanted }); };
  slider.addEventListener('input', () => paint());
  python.picture('Film', '.training canvas');
  new IntersectionObserver(entries => { near = entries.at(-1).isIntersecting; fetchIt(); }).observe(root);
  onResize(root, fit);
  return model => {
    wanted = model;
    root.hidden = !model;
    if (film?.model !== model) { $('.reel', root).hidden = true; $('.waiting', root).hidden = false; python.drop('Film'); }
    fetchIt();
  };
}

// The classes that occur among `points`, each with its colour.
function legend(root, points) {
  const used = new Set(points.labels);
  points.class_names.forEach((name, i) => {
    if (!used.has(i)) return;
    const entry = document.createElement('span'), dot = document.createElement('i');
    dot.className = 'swatch';
    dot.style.background = page.colours[i % page.colours.length];
    entry.append(dot, name);
    root.append(entry);
  });
}

// A group of buttons of which one is pressed.
function choices(root, options, pressed, choose) {
  const press = value => root.querySelectorAll('button').forEach(b => b.setAttribute('aria-pressed', b.dataset.value === String(value)));
  options.forEach(([value, text]) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.value = value;
    button.textContent = t([String(text)]);
    button.addEventListener('click', () => { press(value); choose(value); });
    root.append(button);
  });
  press(pressed);
  return press;
}

// The tab's views, of which one is shown: buttons for elements with data-view, the names of views. `opened[name]` runs when that view is chosen.
const opened = {};
function views(options) {
  const show = name => element.querySelectorAll('[data-view]').forEach(part => part.classList.toggle('away', !part.dataset.view.split(' ').includes(name)));
  const first = link.views(options.map(([name]) => name));
  choices($('.views'), options, first, name => { link.show(name); show(name); opened[name]?.(); });
  show(first);
  if (first !== options[0][0]) opened[first]?.();
}

// Pictures in a grid as one, each of their pixels so many pixels wide that the longest side has about 1024.
function enlarged(pictures, columns) {
  const side = (picture, way) => picture[`natural${way}`] ?? picture[way.toLowerCase()];
  const width = Math.max(...pictures.map(p => side(p, 'Width'))), height = Math.max(...pictures.map(p => side(p, 'Height')));
  const rows = Math.ceil(pictures.length / columns), times = Math.max(1, Math.floor(1024 / Math.max(columns * width, rows * height)));
  const canvas = Object.assign(document.createElement('canvas'), { width: columns * width * times, height: rows * height * times });
  const context = canvas.getContext('2d');
  context.imageSmoothingEnabled = false;
  pictures.forEach((picture, i) => context.drawImage(picture, i % columns * width * times, Math.floor(i / columns) * height * times, width * times, height * times));
  return canvas;
}

// The Python under the pictures: the snippet of whatever was touched last is shown, and its picture can be saved.
const python = (() => {
  const texts = new Map(), found = new Map(), group = $('.code-choices'), code = $('.code code'), button = $('.copy'), save = $('.save');
  let shown = null;
  function show(name) {
    shown = name;
    save.hidden = !found.has(name);
    code.textContent = texts.get(name);
    group.querySelectorAll('button').forEach(b => b.setAttribute('aria-pressed', b.dataset.value === name));
  }
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = t`Copied`;
    } catch (error) {
      // Without the clipboard (plain http, or not allowed) the text is at least selected.
      getSelection().selectAllChildren(code);
      button.textContent = t`Selected`;
    }
    setTimeout(() => { button.textContent = t`Copy`; }, 1500);
  });
  save.addEventListener('click', () => {
    const { find, columns } = found.get(shown), pictures = typeof find === 'string' ? [...element.querySelectorAll(find)] : find();
    if (!pictures.length) return;
    enlarged(pictures, columns?.() ?? pictures.length).toBlob(blob => {
      const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: `${page.tab}-${shown}.png`.toLowerCase().replaceAll(/[ _]/g, '-') });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  });
  return {
    // What is saved for a name: canvases and images by a selector or a function, in so many columns, else in one row.
    picture(name, find, columns) { found.set(name, { find, columns }); },
    set(name, text, focus = true) {
      if (!texts.has(name)) {
        const choice = document.createElement('button');
        choice.type = 'button';
        choice.dataset.value = name;
        choice.textContent = t([name]);
        choice.addEventListener('click', () => show(name));
        group.append(choice);
      }
      texts.set(name, text);
      if (focus || shown === null || shown === name) show(name);
    },
    focus(name) { if (texts.has(name)) show(name); },
    drop(name) {
      if (!texts.delete(name)) return;
      group.querySelector(`[data-value="${name}"]`).remove();
      if (shown === name) show(texts.keys().next().value);
    },
  };
})();

// Starts a tab: from the prepared first page if there is one, else from the server once the networks are loaded.
function begin(show) {
  const broken = message => {
    notice(message, true);
    element.querySelectorAll('.live').forEach(part => { part.hidden = true; });
  };
  const begun = async first => { await show(first); link.apply(); };
  if (page.reason) broken(page.reason);
  else if (page.first) begun(page.first);
  else {
    notice(WARMING);
    latest(server.start, begun, broken)({});
  }
}
