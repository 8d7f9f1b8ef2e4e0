// One image, one guess. The best streak stays in this browser.
import { clamp, make, onResize } from '../common/dom.js';
import { fitWidth, loadImage, neighbour, paintRaw } from '../common/pictures.js';
import { t } from '../common/text.js';

const BEST = 'genmodels-best-streak';
const JUDGES = { you: t`You`, discriminator: t`Discriminator`, evaluator: t`Evaluator` };

/** @param {Tab} tab */
export default function game({ $, $$, element, find, latest, notice, server }) {
  const state = { kind: '', round: '', streak: 0, best: 0, size: 0 };
  /** @type {Record<string, {right: number, of: number, last: boolean, said: boolean}>} */
  let tallies = {};
  const [picture, truth, next] = find('.game-picture', '.game-truth', '.game-next');
  const buttons = $$('.game-guess');
  try {
    state.best = clamp(Math.floor(Number(localStorage.getItem(BEST))) || 0, 0, 1e6);
  } catch {
    // A browser may forbid it.
  }

  function ready(/** @type {boolean} */ guessing) {
    for (const button of buttons) button.disabled = !guessing;
    next.disabled = guessing || !state.round;
  }
  /** @param {Record<string, boolean>} verdicts @param {boolean} real */
  function tally(verdicts, real) {
    for (const [judge, said] of Object.entries(verdicts)) {
      const { right, of } = tallies[judge] ?? { right: 0, of: 0 };
      const last = said === real;
      tallies[judge] = { right: right + Number(last), of: of + 1, last, said };
    }
  }
  function showScores() {
    const judges = Object.entries(JUDGES).filter(([judge]) => judge === 'you' || tallies[judge]);
    const rows = judges.map(([judge, title]) => {
      const head = make('th', { scope: 'row' }, title);
      const entry = tallies[judge];
      if (!entry) return make('tr', {}, head, ...['', t`${0} of ${0}`, ''].map(text => make('td', {}, text)));
      const { last, of, right, said } = entry;
      const verdict = make('td', { className: last ? 'right' : 'wrong' }, said ? t`real` : t`fake`);
      const share = `${Math.round((100 * right) / of)}%`;
      return make('tr', {}, head, verdict, make('td', {}, t`${right} of ${of}`), make('td', {}, share));
    });
    $('.game-scores tbody').replaceChildren(...rows);
    $('.game-streak').textContent = t`In a row: ${state.streak} · best: ${state.best}`;
  }

  function showRound(/** @type {any} */ answer) {
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
  /** @param {Answer} answer @param {Job} job */
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
    const figures = distances.map((/** @type {number} */ distance, /** @type {number} */ i) =>
      neighbour(sheet, i + 1, distances.length + 1, state.size, distance, 64),
    );
    $('.game-near .found').replaceChildren(...figures);
    showScores();
    ready(false);
    next.focus({ preventScroll: true });
  };
  const askGuess = latest(server.guess, showTruth, message => {
    notice(message);
    deal();
  });

  function say(/** @type {boolean} */ real) {
    if (buttons[0].disabled) return;
    for (const button of buttons) button.disabled = true;
    askGuess({ round: state.round }, real);
  }
  for (const button of buttons) button.addEventListener('click', () => say(button.dataset.real === 'true'));
  next.addEventListener('click', deal);
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (!element.isConnected) {
      document.removeEventListener('keydown', onKey);
      return;
    }
    const elsewhere = event.target instanceof Element && event.target.matches('input, textarea, select');
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
    /** Another model, another game. @param {string} kind @param {any} [first] */
    play(kind, first) {
      if (state.kind === kind) return;
      Object.assign(state, { kind, streak: 0 });
      tallies = {};
      showScores();
      if (first) showRound(first);
      else deal();
    },
  };
}
