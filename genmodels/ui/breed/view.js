// Children of two latents.
const able = Object.entries(page.models).filter(([, { breeds }]) => breeds);
const brood = { parents: [], pictures: [], next: 0, seed: 0, from: 0, generation: 0, children: [], size: 0, asked: false };
const menu = $('.breed-model');
for (const [name, { title }] of able) menu.append(new Option(title, name, false, name === page.main));
$('.breed-chooser').hidden = able.length < 2;
const mutation = $('.breed-mutation');
const address = link.view('breed', { model: page.main, parents: brood.from, mutation: +mutation.value, seed: brood.seed });

function canvasOf(sheet, index, columns, size, width) {
  const canvas = document.createElement('canvas');
  paintFrame(canvas, sheet, index, columns, size);
  canvas.style.width = `${wholeMultiple(size, width, width)}px`;
  return canvas;
}
// New buttons in the place of others: the keyboard stays where it was.
function replace(root, buttons) {
  const focused = [...root.children].indexOf(document.activeElement);
  root.replaceChildren(...buttons);
  buttons[focused]?.focus({ preventScroll: true });
}
function showParents() {
  replace($('.breed-parents'), brood.pictures.map((picture, i) => {
    const button = document.createElement('button'), caption = document.createElement('span');
    button.type = 'button';
    caption.className = 'note';
    caption.textContent = t`parent ${'AB'[i]}`;
    button.append(picture, caption);
    button.setAttribute('aria-label', t`Parent ${'AB'[i]}: the next chosen child takes its place`);
    button.setAttribute('aria-pressed', String(brood.next === i));
    button.addEventListener('click', () => { brood.next = i; showParents(); });
    return button;
  }));
}
const askLitter = latest(server.litter, async answer => {
  const sheet = await loadImage(answer.sheet), narrow = element.clientWidth < 700;
  Object.assign(brood, { children: answer.latents, size: answer.size });
  replace($('.breed-children'), answer.latents.map((latent, i) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-label', t`Child ${i + 1}: make it a parent`);
    button.append(canvasOf(sheet, i, page.litter_columns, answer.size, narrow ? 80 : 112));
    button.addEventListener('click', () => {
      brood.parents[brood.next] = latent;
      brood.pictures[brood.next] = canvasOf(sheet, i, page.litter_columns, answer.size, 128);
      brood.next = 1 - brood.next;
      brood.generation += 1;
      brood.seed += 1;
      showParents();
      breed();
    });
    return button;
  }));
  $('.breed-generation').textContent = brood.generation ? t`Generation ${brood.generation + 1}.` : t`Choose a child: it takes the place of the marked parent.`;
  showSources(page.models[answer.model].sources, $('.breed-sources'));
  python.set('Children', answer.code);
});
function breed() {
  // A lineage is too long for an address: from the second generation on it leads to the parents that all began with.
  address.set({ model: menu.value, parents: brood.from, mutation: +mutation.value, seed: brood.generation ? undefined : brood.seed });
  askLitter({ model: menu.value, parents: brood.parents, mutation: +mutation.value, seed: brood.seed });
}
const askFounders = latest(server.founders, async answer => {
  const sheet = await loadImage(answer.sheet), size = sheet.height;
  Object.assign(brood, { parents: answer.latents, next: 0, generation: 0, pictures: answer.latents.map((_, i) => canvasOf(sheet, i, answer.latents.length, size, 128)) });
  showParents();
  breed();
});
const found = () => askFounders({ model: menu.value, seed: brood.from });
const tellMutation = () => { $('.breed-m').textContent = decimal(+mutation.value, 2); };
mutation.addEventListener('input', () => { tellMutation(); breed(); });
$('.breed-again').addEventListener('click', () => { brood.seed += 1; breed(); });
$('.breed-new').addEventListener('click', () => { brood.from = Math.floor(Math.random() * 100000); found(); });
menu.addEventListener('change', found);

python.picture('Children', '.breed-children canvas', () => page.litter_columns);
opened.breed = () => {
  if (brood.asked) return;
  brood.asked = true;
  if (able.some(([name]) => name === address.get('model'))) menu.value = address.get('model');
  const share = parseFloat(address.get('mutation'));
  if (share >= 0 && share <= 1) { mutation.value = share; tellMutation(); }
  brood.from = address.count('parents', page.max_seed) ?? brood.from;
  brood.seed = address.count('seed', page.max_seed) ?? brood.seed;
  found();
};
