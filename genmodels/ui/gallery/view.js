// Every model in a row, the same random numbers in a column.
const names = Object.keys(page.models), FRAMES = 25;
const gallery = { seed: 0, pair: [0, 3], next: 0, rows: [], begun: false };
const address = link.view('all', { seed: gallery.seed, a: gallery.pair[0], b: gallery.pair[1] });
const slider = $('.gallery-t'), seed = $('.gallery-seed');
seed.max = page.max_seed;

function make(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// The buttons above the columns.
const heads = make('div', 'row-of heads');
const columns = Array.from({ length: page.columns }, (_, i) => {
  const button = make('button', 'col');
  button.type = 'button';
  button.addEventListener('click', () => {
    gallery.pair[gallery.next] = i;
    gallery.next = 1 - gallery.next;
    mark();
    ask();
  });
  return button;
});
heads.append(make('p', 'note', t`Pick two columns.`), ...columns, make('span', 'walk-head', t`A to B`));
function mark() {
  columns.forEach((button, i) => {
    const end = ['A', 'B'].filter((_, j) => gallery.pair[j] === i).join(' ');
    if (end) button.dataset.end = end[0]; else delete button.dataset.end;
    button.textContent = end || i + 1;
    button.setAttribute('aria-label', `${t`Column ${i + 1}`}${end ? `, ${end}` : ''}`);
    button.setAttribute('aria-pressed', String(Boolean(end)));
  });
}

function row(name) {
  const { title, figures, reason } = page.models[name];
  const root = make('section', 'row-of'), about = make('div'), latent = make('span', 'note latent');
  root.setAttribute('aria-label', title);
  about.append(make('h2', '', title), make('p', 'note', figures ? measured(figures) : t`FID and recall have not been measured.`), latent);
  const cells = Array.from({ length: page.columns }, (_, i) => make('canvas', 'cell-of'));
  const walk = make('canvas', 'walk'), failed = make('p', 'note failed');
  [...cells, walk].forEach((canvas, i) => {
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `${title}, ${i < page.columns ? t`column ${i + 1}` : t`between A and B`}`);
  });
  failed.hidden = true;
  root.append(about, failed, ...cells, walk);
  const fail = message => {
    failed.hidden = false;
    failed.textContent = message;
    [...cells, walk].forEach(canvas => { canvas.hidden = true; });
  };
  const side = { root, walk, film: null, asked: null };
  side.ask = latest(server.row, async answer => {
    const [sheet, film] = await Promise.all([loadImage(answer.sheet), loadImage(answer.film)]);
    cells.forEach((canvas, i) => paintFrame(canvas, sheet, i, page.columns, answer.size));
    side.film = film;
    paintWalk(side);
    latent.textContent = t`latent of ${answer.latent_dim.toLocaleString(LANGUAGE)} numbers`;
    python.set('All models', answer.code);
    root.dataset.seed = gallery.seed;
  }, fail, message => {
    failed.hidden = !message;
    failed.textContent = message;
  });
  if (reason) fail(reason);
  side.usable = !reason;
  return side;
}
function paintWalk(side) {
  if (side.film) paintFrame(side.walk, side.film, +slider.value, FRAMES, side.film.height);
}
function ask() {
  const [a, b] = gallery.pair;
  address.set({ seed: gallery.seed, a, b });
  gallery.rows.forEach((side, i) => { if (side.usable) side.ask({ model: names[i], seed: gallery.seed, a, b }); });
}

slider.addEventListener('input', () => gallery.rows.forEach(paintWalk));
$('.gallery-new').addEventListener('click', () => {
  seed.value = gallery.seed = Math.floor(Math.random() * 100000);
  ask();
});
seed.addEventListener('input', () => {
  if (!seed.checkValidity() || seed.value === '') return;
  gallery.seed = +seed.value;
  ask();
});
python.picture('All models', '.cell-of', () => page.columns);
opened.all = () => {
  if (!gallery.begun) {
    gallery.begun = true;
    seed.value = gallery.seed = address.count('seed', page.max_seed) ?? gallery.seed;
    gallery.pair = gallery.pair.map((usual, i) => address.count('ab'[i], page.columns - 1) ?? usual);
    gallery.rows = names.map(row);
    $('.gallery-top').append(heads);
    $('.rows').append(...gallery.rows.map(side => side.root));
    names.forEach(name => {
      const place = make('p', 'note sources');
      showSources(page.models[name].sources, place, page.models[name].title);
      if (place.childNodes.length) $('.gallery-sources').append(place);
    });
    $('.gallery-sources').hidden = $('.gallery-sources').childElementCount === 1;
    mark();
  }
  ask();
};
