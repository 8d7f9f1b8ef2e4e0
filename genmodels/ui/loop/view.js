// A circle through two latents.
const able = Object.entries(page.models).filter(([, { breeds }]) => breeds);
const round = { seed: 0, asked: false }, menu = $('.loop-model');
for (const [name, { title }] of able) menu.append(new Option(title, name, false, name === page.main));
$('.loop-chooser').hidden = able.length < 2;
const address = link.view('loop', { model: page.main, seed: round.seed });
const askLoop = latest(server.loop, answer => {
  $('.loop-film').src = $('.loop-save').href = answer.film;
  $('.loop-film').style.width = `${Math.min(answer.size, 256)}px`;
  $('.loop-save').download = `${answer.model.split('/').at(-1)}-${answer.seed}.webp`;
  showSources(page.models[answer.model].sources, $('.loop-sources'));
  python.set('Loop', answer.code);
});
function circle() {
  address.set({ model: menu.value, seed: round.seed });
  askLoop({ model: menu.value, seed: round.seed });
}
$('.loop-new').addEventListener('click', () => { round.seed = Math.floor(Math.random() * 100000); circle(); });
menu.addEventListener('change', circle);
opened.loop = () => {
  if (round.asked) return;
  round.asked = true;
  if (able.some(([name]) => name === address.get('model'))) menu.value = address.get('model');
  round.seed = address.count('seed', page.max_seed) ?? round.seed;
  circle();
};
