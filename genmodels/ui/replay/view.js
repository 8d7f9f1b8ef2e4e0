// Films and losses of one training, or of two side by side, under one slider.
const COLOURS = ['--accent', '--generated', '--real', '--bad'];
const NAMES = {
  loss: t`loss`, loss_d: t`discriminator`, loss_g: t`generator`, wasserstein_estimate: t`estimated Wasserstein distance`,
};
const slider = $('.replay-step'), main = $('.replay-main');
const players = [], address = link.view('replay', { model: Object.keys(page.replays)[0] });
// The training step that is looked at, null for the last one.
let asked = false, at = null;

// One training; `shown` is the server's answer, `name` what its program is called.
function player(name) {
  const root = document.createElement('section');
  root.className = 'replay-one';
  root.innerHTML = `<canvas class="replay-film" role="img" aria-label="${t`The same latents during training`}"></canvas><div class="replay-side"><h2><span class="replay-name"></span> <span class="note replay-title"></span></h2>
    <canvas class="replay-losses" role="img" aria-label="${t`Losses over the steps`}"></canvas>
    <p class="replay-names figures"></p><p class="note replay-monitor" lang="en"></p>
    <pre tabindex="0" role="group" aria-label="${t`The command that trained it`}"><code class="replay-command"></code></pre><p class="note sources"></p></div>`;
  const film = $('.replay-film', root), curves = $('.replay-losses', root);
  const self = { name, root, wanted: null, shown: null, sheet: null };
  python.picture(name, () => [film]);
  const lastStep = () => Math.max(self.shown.steps.at(-1), self.shown.curves.step.at(-1));
  // The frame that was made last at a step.
  const frameAt = step => Math.max(0, self.shown.steps.findLastIndex(s => s <= step));

  function paintFilm(step) {
    const { shown, sheet } = self, i = frameAt(step);
    if (film.width !== shown.width || film.height !== shown.height) Object.assign(film, { width: shown.width, height: shown.height });
    film.getContext('2d').drawImage(sheet, i % shown.columns * shown.width, Math.floor(i / shown.columns) * shown.height, shown.width, shown.height, 0, 0, shown.width, shown.height);
    python.set(self.name, frameCode(shown.code, i), false);
    film.setAttribute('aria-label', `${shown.model}: ${t`the same latents at step ${shown.steps[i].toLocaleString(LANGUAGE)}`}`);
  }
  function paintLosses(step) {
    const { shown } = self, steps = shown.curves.step, now = Math.min(step, lastStep());
    const names = Object.keys(shown.curves).filter(name => name !== 'step');
    const series = names.map(name => shown.curves[name].map((v, i) => [steps[i], v]));
    paintCurves(curves, { series, colours: COLOURS, last: lastStep(), least: 1e-3, now });
    const index = Math.max(0, steps.findLastIndex(s => s <= now));
    $('.replay-names', root).replaceChildren(...names.map((name, n) => {
      const entry = document.createElement('span'), dot = document.createElement('i'), v = shown.curves[name][index];
      dot.className = 'swatch';
      dot.style.background = `var(${COLOURS[n % COLOURS.length]})`;
      entry.append(dot, `${NAMES[name] ?? name.replaceAll('_', ' ')} ${v === null ? '–' : significant(v, 3)}`);
      return entry;
    }));
  }
  self.paint = step => { if (self.shown) { paintFilm(step); paintLosses(step); } };
  self.fit = two => {
    if (!self.shown || !element.clientWidth) return;
    const narrow = element.clientWidth < 700, room = narrow || !two ? element.clientWidth : (element.clientWidth - 32) / 2;
    film.style.width = `${wholeMultiple(self.shown.width, room, narrow ? self.shown.width : 2 * self.shown.width)}px`;
  };
  const ask = latest(server.replay, async answer => {
    const sheet = await loadImage(answer.sprite);
    // Another training was chosen meanwhile.
    if (answer.model !== self.wanted) return;
    self.sheet = sheet;
    self.shown = answer;
    $('.replay-name', root).textContent = page.replays[answer.model];
    $('.replay-title', root).textContent = answer.title;
    $('.replay-monitor', root).textContent = answer.monitor;
    $('.replay-command', root).textContent = answer.command;
    showSources({ command: '', papers: answer.papers }, $('.sources', root));
    arrange();
    if (main.clientWidth) python.focus(name);
  });
  self.load = model => {
    if (model === self.wanted) return;
    self.wanted = model;
    ask({ model });
  };
  const scrub = event => {
    if (!self.shown || (event.type === 'pointermove' && !event.buttons)) return;
    const box = curves.getBoundingClientRect(), step = (event.clientX - box.left - PLOT.left) / (box.width - PLOT.left - PLOT.right) * lastStep();
    const distances = stops().map(s => Math.abs(s - step));
    slider.value = distances.indexOf(Math.min(...distances));
    seek();
  };
  curves.addEventListener('pointerdown', event => { curves.setPointerCapture(event.pointerId); scrub(event); });
  curves.addEventListener('pointermove', scrub);
  return self;
}

// The slider stops at the frames of the longest training that is shown.
function stops() {
  const [longest] = players.filter(p => p.shown).sort((p, q) => q.shown.steps.at(-1) - p.shown.steps.at(-1));
  return longest ? longest.shown.steps : [0];
}
function paint() {
  const all = stops(), step = all[+slider.value] ?? all.at(-1), text = stepOf(step, all.at(-1));
  players.forEach(one => one.paint(step));
  $('.replay-at').textContent = text;
  slider.setAttribute('aria-valuetext', text);
}
function arrange() {
  slider.max = stops().length - 1;
  slider.value = at === null ? slider.max : Math.max(0, stops().findLastIndex(step => step <= at));
  fitReplay();
}
function seek() {
  at = slider.value === slider.max ? null : stops()[+slider.value];
  remember();
  paint();
}
function fitReplay() {
  main.classList.toggle('two', players.length === 2);
  players.forEach(one => one.fit(players.length === 2));
  paint();
}
slider.addEventListener('input', seek);

const known = Object.entries(page.replays);
$('.replay-beside').append(new Option(t`nothing`, ''));
for (const [name, title] of known) for (const menu of ['.replay-model', '.replay-beside']) $(menu).append(new Option(title, name));
const remember = () => address.set({ model: $('.replay-model').value, beside: $('.replay-beside').value || undefined, step: at ?? undefined });
function choose() {
  const wanted = [$('.replay-model').value, $('.replay-beside').value].filter(Boolean);
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
for (const menu of ['.replay-model', '.replay-beside']) $(menu).addEventListener('change', () => { at = null; remember(); choose(); });
opened.replay = () => {
  if (asked) return;
  asked = true;
  for (const [menu, name] of [['.replay-model', 'model'], ['.replay-beside', 'beside']]) if (known.some(([own]) => own === address.get(name))) $(menu).value = address.get(name);
  at = address.count('step');
  choose();
};
onResize(main, fitReplay);
