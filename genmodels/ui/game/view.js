// One image, one guess. The best streak stays in this browser.
import { clamp, make, onResize } from '../common/dom.js';
import { captioned, fitWidth, loadImage, paintRaw } from '../common/pictures.js';
import { decimal, t } from '../common/text.js';

const BEST = 'genmodels-best-streak';
const JUDGES = { you: t`You`, discriminator: t`Discriminator`, evaluator: t`Evaluator` };

/** @param {import('../common/tab.js').Tab} tab */
export default function game({ $, $$, element, latest, notice, server }) {
  const state = { kind: null, round: null, streak: 0, best: 0, tallies: {}, size: 0 };
  const [picture, truth, next] = ['.game-picture', '.game-truth', '.game-next'].map(name => $(name));
  const buttons = $$('.game-guess');
  try {
    state.best = clamp(Math.floor(Number(localStorage.getItem(BEST))) || 0, 0, 1e6);
  } catch {
    // A browser may forbid it.
  }

  function ready(guessing) {
    for (const button of buttons) button.disabled = !guessing;
    next.disabled = guessing || !state.round;
  }
  function tally(verdicts, real) {
    for (const [judge, said] of Object.entries(verdicts)) {
      state.tallies[judge] ??= { right: 0, of: 0 };
      const entry = state.tallies[judge];
      entry.of += 1;
      entry.right += Number(said === real);
      entry.last = said === real;
      entry.said = said;
    }
  }
  function showScores() {
    const judges = Object.entries(JUDGES).filter(([judge]) => judge === 'you' || state.tallies[judge]);
    const rows = judges.map(([judge, title]) => {
      const head = make('th', { scope: 'row' }, title);
      const entry = state.tallies[judge];
      if (!entry) return make('tr', {}, head, ...['', t`${0} of ${0}`, ''].map(text => make('td', {}, text)));
      const { last, of, right, said } = entry;
      const verdict = make('td', { className: last ? 'right' : 'wrong' }, said ? t`real` : t`fake`);
      const share = `${Math.round((100 * right) / of)}%`;
      return make('tr', {}, head, verdict, make('td', {}, t`${right} of ${of}`), make('td', {}, share));
    });
    $('.game-scores tbody').replaceChildren(...rows);
    $('.game-streak').textContent = t`In a row: ${state.streak} · best: ${state.best}`;
  }

  function showRound(answer) {
    state.round = answer.round;
    state.size = answer.size;
    picture.className = 'game-picture';
    picture.setAttribute('aria-label', t`Real, or generated?`);
    paintRaw(picture, answer.picture, answer.size, answer.channels);
    truth.textContent = '';
    $('.game-near').hidden = true;
    ready(true);
    fit();
  }
  const askPlay = latest(server.play, showRound);
  const deal = () => {
    ready(false);
    askPlay({ kind: state.kind });
  };
  const showTruth = async (answer, job) => {
    const { distances, judges, real } = answer;
    const said = job.extra;
    const right = said === real;
    tally({ you: said, ...judges }, real);
    state.streak = right ? state.streak + 1 : 0;
    state.best = Math.max(state.best, state.streak);
    try {
      localStorage.setItem(BEST, String(state.best));
    } catch {
      // A browser may forbid it.
    }
    truth.textContent = `${right ? t`Right` : t`Wrong`}: ${real ? t`a real test image.` : t`the network made it.`}`;
    picture.classList.add(real ? 'real' : 'fake');
    picture.setAttribute('aria-label', real ? t`A real test image` : t`A generated image`);
    const sheet = await loadImage(answer.sheet);
    $('.game-near').hidden = false;
    const figures = distances.map((distance, i) => {
      const words = decimal(distance, 3);
      const label = t`Training image, distance ${words}`;
      return captioned(sheet, i + 1, distances.length + 1, state.size, { width: 64, label }, words);
    });
    $('.game-near .found').replaceChildren(...figures);
    showScores();
    ready(false);
    next.focus({ preventScroll: true });
  };
  const askGuess = latest(server.guess, showTruth, message => {
    notice(message);
    deal();
  });

  function say(real) {
    if (buttons[0].disabled) return;
    for (const button of buttons) button.disabled = true;
    askGuess({ round: state.round }, real);
  }
  for (const button of buttons) button.addEventListener('click', () => say(button.dataset.real === 'true'));
  next.addEventListener('click', deal);
  const onKey = event => {
    if (!element.isConnected) {
      document.removeEventListener('keydown', onKey);
      return;
    }
    const elsewhere = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (!picture.clientWidth || event.ctrlKey || event.metaKey || event.altKey || elsewhere) return;
    if (event.key === '1' || event.key === '2') say(event.key === '1');
    else if (event.key === '3' && !next.disabled) deal();
  };
  document.addEventListener('keydown', onKey);
  function fit() {
    if (state.size && element.clientWidth) fitWidth(picture, state.size, element.clientWidth - 8, 288);
  }
  onResize(picture, fit);
  showScores();
  ready(false);

  return {
    /** Another model, another game. */
    play(kind, first) {
      if (state.kind === kind) return;
      Object.assign(state, { kind, tallies: {}, streak: 0 });
      showScores();
      if (first) showRound(first);
      else deal();
    },
  };
}
