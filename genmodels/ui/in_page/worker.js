// The worker that answers a page: a call a message, each with its own number.
import { chosen, entriesOf, isKnown, know, MistakeError } from './catalogue.js';
import { classes } from './classes.js';
import { addressOf, BrokenError, ElsewhereError, fetchJson, settle } from './engine.js';
import { faceFunctions, mapFunctions, pairFunctions } from './map.js';
import { realOrFake, training } from './real_or_fake.js';
import { samples } from './samples.js';

/**
 * @typedef {(payload: Record<string, any>, tell: (part: object) => void) => Promise<Record<string, unknown>>} Answering
 * from what a page asks, and what shows a part of the answer, to the answer
 */

/** An answer with the address of its film. @param {Promise<Record<string, unknown>>} asked */
async function withFilm(asked) {
  const answer = await asked;
  return { ...answer, sprite: addressOf(`models/${answer.sprite}`) };
}
/** The film of a model's training. @param {string} kind */
function filmOf(kind) {
  return (/** @type {Record<string, any>} */ { model }) => withFilm(chosen(kind, model).file('film.json'));
}
/** A finished training; the first one for no name. @param {Record<string, any>} payload */
async function replay(payload) {
  const known = entriesOf('replay');
  const entry = payload.model ? known.find(({ name }) => name === payload.model) : known[0];
  if (!entry) throw new BrokenError(`The training of ${payload.model} is not beside this page.`);
  const { folder, title } = entry;
  return withFilm(fetchJson(`models/${folder}/replay.json`, title));
}

/** What each tab can be answered with the models here. */
function functionsHere() {
  // Also where none of them works: each then says why.
  const has = (/** @type {string} */ kind) => isKnown(kind);
  const compared = (/** @type {string} */ kind) => entriesOf('sample').some(entry => entry.of.includes(kind));
  /** @type {Record<string, Record<string, Answering>>} */
  const tabs = { map: {}, samples: {}, classes: {}, real_or_fake: {}, training: {} };
  if (has('map')) Object.assign(tabs.map, mapFunctions, { film: filmOf('map') });
  if (!compared('map')) delete tabs.map.example;
  if (has('map') && has('autoencoder')) Object.assign(tabs.map, pairFunctions);
  if (has('faces')) Object.assign(tabs.map, faceFunctions);
  if (has('samples')) Object.assign(tabs.samples, samples, { film: filmOf('samples') });
  if (has('classes')) Object.assign(tabs.classes, classes, { film: filmOf('classes') });
  if (has('samples') || has('classes')) Object.assign(tabs.real_or_fake, realOrFake);
  if (compared('samples') || compared('classes')) Object.assign(tabs.training, training);
  if (has('replay')) Object.assign(tabs.training, { replay });
  return tabs;
}
/** @type {ReturnType<typeof functionsHere>} */
let tabs = {};

/** @param {Promise<Record<string, unknown>>} computed */
async function answered(computed) {
  try {
    return { status: 'ok', ...(await computed) };
  } catch (error) {
    if (error instanceof MistakeError) return { status: 'error', message: error.message };
    if (error instanceof ElsewhereError) return { status: 'elsewhere', message: error.message };
    if (error instanceof BrokenError) return { status: 'broken', message: error.message };
    console.warn(error);
    return { status: 'broken', message: 'This page could not compute that.' };
  }
}
addEventListener('message', async ({ data }) => {
  if (data.root) {
    settle(data.root, data, (what, loaded, total) => postMessage({ progress: { what, loaded, total } }));
    know(data.models);
    tabs = functionsHere();
    const names = Object.entries(tabs).map(([tab, functions]) => [tab, Object.keys(functions)]);
    postMessage({ tabs: Object.fromEntries(names) });
    return;
  }
  const { id, tab, name, payload } = data;
  const tell = (/** @type {object} */ part) => postMessage({ id, part: { status: 'ok', ...part } });
  postMessage({ id, answer: await answered((async () => tabs[tab][name](payload, tell))()) });
});
