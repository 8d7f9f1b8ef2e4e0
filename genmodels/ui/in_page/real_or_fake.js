// The Real or fake? tab and the view of what was learned by heart, as their Python computes them.
import {
  chosen,
  evaluatorOf,
  MistakeError,
  nearestTo,
  nearestToEach,
  realBeside,
  realOf,
  rounded,
  spacedIndices,
} from './catalogue.js';
import { ElsewhereError, once } from './engine.js';
import { opaque, sheetUri, toPixels, toTensor } from './networks.js';
import { base64 } from './png.js';
import { discriminateCode, histogramCode, memoryCode, nearestCode } from './programs.js';

/** @typedef {import('./networks.js').Model} Model */
/** @typedef {import('./networks.js').Pixels} Pixels */
/** @typedef {import('./catalogue.js').Real} Real */
/** @typedef {Record<string, any>} Payload */

// See comparer.py, game/__init__.py and memory/__init__.py.
const [COUNT, COLUMNS, NEIGHBOURS, SCORED, SCORED_SEED] = [16, 4, 5, 300, 1];
const [CALIBRATED, FIRST, FIRST_SEED, FIRST_INDEX] = [200, 'first-', 11, 5];
const [MEASURED, SHOWN, NEAREST] = [200, 6, 5];
const OVER = 'That round is over: here is another.';

/**
 * Images of a seed, as numbers and as pictures, and their classes. @param {Model} model @param {number} seed @param
 * {number} count
 */
async function generated(model, seed, count) {
  const { classes } = await model.facts();
  const images = await model.images(await model.latents(count, seed));
  const labels = Array.from({ length: count }, (_, i) => (classes ? i % classes.names.length : 0));
  return { images, labels, pictures: toPixels(images) };
}
/** @param {string} kind */
function judged(kind) {
  const model = chosen(kind);
  if (!model.entry.discriminates) {
    throw new MistakeError(`'${model.entry.title}' was saved without its discriminator, so it cannot score images.`);
  }
  return model;
}
/** @param {Model} model @param {import('./networks.js').Tensor} images @param {number[]} labels */
const scoresOf = async (model, images, labels) => (await model.scores(images, labels)).map(v => rounded(v, 3));
/** @param {Model} model @param {Pixels[]} pictures @param {number[]} labels */
const scoresOfReal = (model, pictures, labels) => scoresOf(model, toTensor(pictures), labels);
/**
 * The share of pairs in which the real one scores higher; of equals one half. @param {number[]} real @param {number[]}
 * fake
 */
function ranked(real, fake) {
  let won = 0;
  for (const r of real) for (const f of fake) won += r > f ? 1 : r === f ? 0.5 : 0;
  return rounded(won / real.length / fake.length, 3);
}
/** @param {Real} real @param {number} seed */
const startOf = (real, seed) => (seed * COUNT) % Math.max(1, real.test.length - COUNT + 1);
/** @param {string} kind @param {Real} real @param {Pixels} picture */
async function near(kind, real, picture) {
  const found = nearestTo(picture, real.train, NEIGHBOURS);
  return {
    sheet: await sheetUri([picture, ...found.map(({ n }) => real.train[n])], found.length + 1),
    distances: found.map(({ distance }) => rounded(distance, 3)),
    labels: chosen(kind).entry.labelled ? found.map(({ n }) => real.entry.class_names[real.trainLabels[n]]) : null,
    total: real.train.length,
  };
}

// The game. A round is an image that waits for a guess.
/** @typedef {{kind: string, picture: Pixels, label: number, isReal: boolean}} Round */
/** @type {Map<string, Round>} */
const rounds = new Map();
/**
 * What each judge thinks of pictures, higher for more real. @param {string} kind @param {Pixels[]} pictures @param
 * {number[]} labels @returns {Promise<Record<string, number[]>>}
 */
async function judges(kind, pictures, labels) {
  const model = chosen(kind);
  /** @type {Record<string, number[]>} */
  const scores = {};
  if (model.entry.discriminates) scores.discriminator = await model.scores(toTensor(pictures), labels);
  const evaluator = evaluatorOf(pictures[0].width, pictures[0].channels);
  if (evaluator) {
    const { logits } = await evaluator.run('classifier', { pixel_values: toTensor(pictures) });
    const width = logits.data.length / pictures.length;
    scores.evaluator = pictures.map((_, i) => {
      const row = logits.data.subarray(i * width, (i + 1) * width);
      const most = Math.max(...row);
      return -Math.log(row.reduce((sum, v) => sum + Math.exp(v - most), 0));
    });
  }
  return scores;
}
/** The score from which each judge says "real": that which tells most real from fake ones. @param {string} kind */
const thresholds = kind =>
  once(`thresholds ${kind}`, async () => {
    const model = chosen(kind);
    const real = await realBeside(kind, model);
    const indices = real.test.map((_, i) => i);
    for (let i = 0; i < Math.min(CALIBRATED, indices.length); i++) {
      const other = i + Math.floor(Math.random() * (indices.length - i));
      [indices[i], indices[other]] = [indices[other], indices[i]];
    }
    const picked = indices.slice(0, CALIBRATED);
    const fakes = await generated(model, Math.floor(Math.random() * 2 ** 31), CALIBRATED);
    const ofReal = await judges(
      kind,
      picked.map(i => real.test[i]),
      picked.map(i => real.testLabels[i]),
    );
    const ofFake = await judges(kind, fakes.pictures, fakes.labels);
    return Object.fromEntries(Object.keys(ofReal).map(judge => [judge, bestThreshold(ofReal[judge], ofFake[judge])]));
  });
/** @param {number[]} real @param {number[]} fake */
function bestThreshold(real, fake) {
  let [best, most] = [0, -1];
  for (const t of [...real, ...fake]) {
    const right = real.filter(v => v >= t).length / real.length + fake.filter(v => v < t).length / fake.length;
    if (right > most) [best, most] = [t, right];
  }
  return best;
}

/** @type {Record<string, (payload: Payload) => Promise<Record<string, unknown>>>} */
export const realOrFake = {
  async compare({ kind, seed }) {
    const model = judged(kind);
    const { class_names: names, size } = model.entry;
    const [real, drawn] = [await realOf(kind), await generated(model, seed, COUNT)];
    const scores = await scoresOf(model, drawn.images, drawn.labels);
    const named = model.entry.labelled;
    /** @type {Record<string, any>} */
    const answer = {
      kind,
      seed,
      size,
      generated: {
        sheet: await sheetUri(drawn.pictures, COLUMNS),
        scores,
        labels: named ? drawn.labels.map(label => names[label]) : null,
      },
      real: null,
    };
    const start = real ? startOf(real, seed) : 0;
    if (real) {
      const [pictures, labels] = [real.test, real.testLabels].map(all => all.slice(start, start + COUNT));
      answer.real = {
        sheet: await sheetUri(/** @type {Pixels[]} */ (pictures), COLUMNS),
        scores: await scoresOfReal(model, /** @type {Pixels[]} */ (pictures), /** @type {number[]} */ (labels)),
        labels: named ? /** @type {number[]} */ (labels).map(label => real.entry.class_names[label]) : null,
        title: real.entry.title,
        unchanged: real.entry.unchanged,
        train: real.train.length,
      };
      answer.ranked = ranked(answer.real.scores, scores);
    }
    return { ...answer, code: discriminateCode(model.entry, real?.entry ?? null, COUNT, start, seed) };
  },
  histogram: ({ kind }) =>
    once(`histogram ${kind}`, async () => {
      const model = judged(kind);
      const [real, drawn] = [await realOf(kind), await generated(model, SCORED_SEED, SCORED)];
      const scores = await scoresOf(model, drawn.images, drawn.labels);
      const code = histogramCode(model.entry, real?.entry ?? null, SCORED, SCORED_SEED);
      if (!real) return { kind, real: null, generated: scores, code };
      const indices = spacedIndices(real.test.length - 1, Math.min(SCORED, real.test.length));
      const [pictures, labels] = [indices.map(i => real.test[i]), indices.map(i => real.testLabels[i])];
      const ofReal = await scoresOfReal(model, pictures, labels);
      return { kind, real: ofReal, generated: scores, ranked: ranked(ofReal, scores), code };
    }),
  async neighbours({ kind, side, index, seed }) {
    const model = chosen(kind);
    const real = await realBeside(kind, model);
    if (side === 'real') {
      const number = startOf(real, seed) + Math.min(index, real.test.length - 1);
      const code = nearestCode(model.entry, real.entry, number, NEIGHBOURS, null);
      return { side, index, code, ...(await near(kind, real, real.test[number])) };
    }
    const { pictures } = await generated(model, seed, COUNT);
    const code = nearestCode(model.entry, real.entry, index, NEIGHBOURS, seed);
    return { side, index, code, ...(await near(kind, real, pictures[index])) };
  },
  async play({ kind }) {
    const model = chosen(kind);
    const real = await realBeside(kind, model);
    await thresholds(kind);
    const name = `${kind}-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
    /** @type {Round} */
    let round;
    if (Math.random() < 0.5) {
      const index = Math.floor(Math.random() * real.test.length);
      round = { kind, picture: real.test[index], label: real.testLabels[index], isReal: true };
    } else {
      const drawn = await generated(model, Math.floor(Math.random() * 2 ** 31), 1);
      round = { kind, picture: drawn.pictures[0], label: drawn.labels[0], isReal: false };
    }
    rounds.set(name, round);
    const shown = opaque(round.picture);
    return { round: name, kind, picture: base64(shown.data), size: shown.width, channels: shown.channels };
  },
  async guess({ round: name }) {
    let round = rounds.get(name);
    rounds.delete(name);
    const first = String(name).slice(FIRST.length);
    if (!round && name === FIRST + first && ['classes', 'samples'].includes(first)) {
      const drawn = await generated(chosen(first), FIRST_SEED, COUNT);
      round = { kind: first, picture: drawn.pictures[FIRST_INDEX], label: drawn.labels[FIRST_INDEX], isReal: false };
    }
    // It may be one of the server's.
    if (!round) throw new ElsewhereError(OVER);
    const { kind, picture, label, isReal } = round;
    const [limits, scores] = [await thresholds(kind), await judges(kind, [picture], [label])];
    const verdicts = Object.fromEntries(Object.entries(limits).map(([judge, t]) => [judge, scores[judge][0] >= t]));
    const real = await realBeside(kind, chosen(kind));
    return { kind, real: isReal, judges: verdicts, ...(await near(kind, real, picture)) };
  },
};

/** @type {Record<string, (payload: Payload) => Promise<Record<string, unknown>>>} */
export const training = {
  async memorised({ kind, seed }) {
    const model = chosen(kind);
    const real = await realBeside(kind, model);
    const ofTest = await once(`of test ${kind}`, async () => {
      const tested = spacedIndices(real.test.length - 1, Math.min(MEASURED, real.test.length)).map(i => real.test[i]);
      const found = await nearestToEach(tested, real.train, 1);
      return found.map(([{ distance }]) => rounded(distance, 4));
    });
    const { pictures } = await generated(model, seed, MEASURED);
    const found = await nearestToEach(pictures, real.train, NEAREST);
    const suspects = found
      .map((_, i) => i)
      .sort((a, b) => found[a][0].distance - found[b][0].distance)
      .slice(0, SHOWN);
    const sheet = suspects.flatMap(i => [pictures[i], ...found[i].map(({ n }) => real.train[n])]);
    return {
      kind,
      seed,
      size: pictures[0].width,
      generated: found.map(([{ distance }]) => rounded(distance, 4)),
      test: ofTest,
      sheet: await sheetUri(sheet, NEAREST + 1),
      distances: suspects.map(i => found[i].map(({ distance }) => rounded(distance, 4))),
      train: real.train.length,
      code: memoryCode(model.entry, real.entry, MEASURED, seed, SHOWN, NEAREST),
    };
  },
};
