// One image, one guess. The best streak stays in this browser.
const BEST = 'genmodels-best-streak';
const JUDGES = { you: t`You`, discriminator: t`Discriminator`, evaluator: t`Evaluator` };
const play = { kind: null, round: null, streak: 0, best: 0, tallies: {}, sizes: {}, asked: false };
const picture = $('.game-picture'), truth = $('.game-truth'), buttons = [...element.querySelectorAll('.game-guess')], next = $('.game-next');
try { play.best = clamp(Math.floor(+localStorage.getItem(BEST)) || 0, 0, 1e6); } catch (error) { /* A browser may forbid it. */ }

function ready(guessing) {
  buttons.forEach(button => { button.disabled = !guessing; });
  next.disabled = guessing || !play.round;
}
function streak() {
  $('.game-streak').textContent = t`In a row: ${play.streak} · best: ${play.best}`;
}
function tally(verdicts, real) {
  for (const [judge, said] of Object.entries(verdicts)) {
    const entry = play.tallies[judge] ??= { right: 0, of: 0 };
    entry.of += 1;
    entry.right += said === real;
    entry.last = said === real;
    entry.said = said;
  }
}
function showScores() {
  $('.game-scores tbody').replaceChildren(...Object.entries(JUDGES).filter(([judge]) => judge === 'you' || play.tallies[judge]).map(([judge, title]) => {
    const row = document.createElement('tr'), name = document.createElement('th'), entry = play.tallies[judge];
    name.scope = 'row';
    name.textContent = title;
    const cells = [entry ? (entry.said ? t`real` : t`fake`) : '', entry ? t`${entry.right} of ${entry.of}` : t`${0} of ${0}`, entry ? `${Math.round(100 * entry.right / entry.of)}%` : ''];
    row.append(name, ...cells.map(text => Object.assign(document.createElement('td'), { textContent: text })));
    if (entry) row.children[1].className = entry.last ? 'right' : 'wrong';
    return row;
  }));
}

function showRound(answer) {
  play.round = answer.round;
  play.sizes = { size: answer.size };
  picture.className = 'game-picture';
  picture.setAttribute('aria-label', t`Real, or generated?`);
  paintRaw(picture, answer.picture, answer.size, answer.channels);
  truth.textContent = '';
  $('.game-near').hidden = true;
  ready(true);
  fitGame();
}
const askPlay = latest(server.play, showRound);
const deal = () => { ready(false); askPlay({ kind: play.kind }); };
const askGuess = latest(server.guess, async (answer, job) => {
  const said = job.extra, right = said === answer.real;
  tally({ you: said, ...answer.judges }, answer.real);
  play.streak = right ? play.streak + 1 : 0;
  play.best = Math.max(play.best, play.streak);
  try { localStorage.setItem(BEST, play.best); } catch (error) { /* A browser may forbid it. */ }
  truth.textContent = `${right ? t`Right` : t`Wrong`}: ${answer.real ? t`a real test image.` : t`the network made it.`}`;
  picture.classList.add(answer.real ? 'real' : 'fake');
  picture.setAttribute('aria-label', answer.real ? t`A real test image` : t`A generated image`);
  const sheet = await loadImage(answer.sheet), { size } = play.sizes;
  $('.game-near').hidden = false;
  $('.game-near .found').replaceChildren(...answer.distances.map((distance, i) => {
    const figure = document.createElement('figure'), canvas = document.createElement('canvas'), caption = document.createElement('figcaption');
    paintFrame(canvas, sheet, i + 1, answer.distances.length + 1, size);
    canvas.style.width = `${wholeMultiple(size, 64, 64)}px`;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', t`Training image, distance ${decimal(distance, 3)}`);
    caption.textContent = decimal(distance, 3);
    figure.append(canvas, caption);
    return figure;
  }));
  showScores();
  streak();
  ready(false);
  next.focus({ preventScroll: true });
}, message => { notice(message); deal(); });

function say(real) {
  if (buttons[0].disabled) return;
  buttons.forEach(button => { button.disabled = true; });
  askGuess({ round: play.round }, real);
}
buttons.forEach(button => button.addEventListener('click', () => say(button.dataset.real === 'true')));
next.addEventListener('click', deal);
const onKey = event => {
  if (!element.isConnected) { document.removeEventListener('keydown', onKey); return; }
  if (!picture.clientWidth || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  if (event.key === '1' || event.key === '2') say(event.key === '1');
  else if (event.key === '3' && !next.disabled) deal();
};
document.addEventListener('keydown', onKey);
function fitGame() {
  const { size } = play.sizes;
  if (size && element.clientWidth) picture.style.width = `${wholeMultiple(size, Math.min(element.clientWidth - 8, 288), 288)}px`;
}
onResize(picture, fitGame);
streak();
showScores();
ready(false);
// Another model, another game.
opened.kind = (kind, first) => {
  if (play.kind === kind) return;
  Object.assign(play, { kind, tallies: {}, streak: 0 });
  showScores();
  streak();
  if (first) showRound(first);
  else deal();
};
