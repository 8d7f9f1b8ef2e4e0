// Calls of the server's functions. Gradio's client gives `undefined` for what it could not fetch: told is what hinders,
// longer and longer waits lie between two tries, and a network that is back ends them.
import { t } from './text.js';

export const WARMING = t`Warming up: the networks are being loaded, a few seconds more.`;
const LOST = t`The server does not answer; trying again.`;
const BUSY = t`The server is busy; trying again.`;
const SLOW = t`Still waiting for the server.`;
const COMPUTING = t`Still computing.`;
const SLOW_MS = 10_000;
const LOST_MS = 120_000;
const MOST_MS = 5000;

/** @param {number} ms */
const pauseOffline = ms =>
  new Promise(done => {
    const go = () => {
      clearTimeout(timer);
      removeEventListener('online', go);
      done(undefined);
    };
    const timer = setTimeout(go, ms);
    addEventListener('online', go);
  });

/**
 * The answer of a server function, asked for again until there is one; null once it is no longer `wanted()`.
 * @param {Call} call @param {object} payload @param {() => boolean} wanted @param {Tell} tell
 * @param {(part: Answer) => void} [see] is shown what there is of an answer that takes long
 */
export async function answerOf(call, payload, wanted, tell, see = () => {}) {
  for (let tries = 0; ; tries++) {
    const timers = [setTimeout(() => tell(call.parts ? COMPUTING : SLOW), SLOW_MS)];
    const late = /** @type {Promise<undefined>} */ (new Promise(done => timers.push(setTimeout(done, LOST_MS))));
    const answer = await Promise.race([call.parts ? call(payload, see) : call(payload), late]).catch(() => null);
    timers.forEach(clearTimeout);
    if (answer?.status === 'broken' || answer?.status === 'elsewhere')
      return /** @type {Answer} */ ({ ...answer, status: 'error' });
    if (answer && ['ok', 'error'].includes(answer.status)) return answer;
    if (!wanted()) return null;
    let [text, ms] = [LOST, Math.min(500 * 2 ** tries, MOST_MS)];
    if (answer?.status === 'loading') [text, ms] = [WARMING, 400];
    if (answer?.status === 'busy') [text, ms] = [BUSY, 1000 * (answer.retry ?? 1) * (0.5 + Math.random())];
    tell(text);
    await pauseOffline(ms);
    if (!wanted()) return null;
  }
}

/**
 * A function that calls `call` with the newest payload only, one request in flight, and waits politely for what hinders
 * an answer.
 * @param {Call} call @param {(answer: Answer, job: Job) => unknown} show
 * @param {{fail: Tell, tell: Tell, alive: () => boolean}} options what says that it failed, what hinders, and whether
 * anybody still asks
 */
export function latestOf(call, show, { fail, tell, alive }) {
  let busy = false;
  /** @type {Job | null} */
  let next = null;
  async function pump() {
    if (busy || !next) return;
    busy = true;
    const job = next;
    next = null;
    try {
      const see = (/** @type {Answer} */ part) => {
        if (alive() && !next) show(part, job);
      };
      const answer = await answerOf(call, job.payload, () => alive() && !next, tell, see);
      if (answer) tell('', false, job.since);
      if (answer?.status === 'error') fail(t([answer.message ?? '']), true);
      else if (answer) await show(answer, job);
    } finally {
      busy = false;
      pump();
    }
  }
  /** @param {object} payload @param {any} [extra] handed on to `show` */
  return (payload, extra) => {
    next = { payload, extra, since: performance.now() };
    pump();
  };
}
