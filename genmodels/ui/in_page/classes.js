// The Classes tab, as its Python computes it.
import { chosen, MistakeError, rounded } from './catalogue.js';
import { sheetUri, toPixels } from './networks.js';
import { everyClassCode, mixCode, numberCode, oneClassCode, tableCode } from './programs.js';
import { FRAMES, mixed } from './samples.js';

/** @typedef {import('./networks.js').Model} Model */
/** @typedef {Record<string, any>} Payload */

// See classes/__init__.py.
const [MOST_IN_ROW, STYLES, PER_CLASS, MOST_DIGITS] = [10, 8, 10, 12];

/** @param {Payload} payload */
async function asked({ model: name, seed, psi = 1 }) {
  const model = chosen('classes', name);
  /** @type {string[]} */
  const names = (await model.facts()).classes.names;
  return { model, names, seed, psi, count: Math.min(names.length, MOST_IN_ROW) };
}
/**
 * The discriminator's scores, null without one. @param {Model} model @param {import('./networks.js').Tensor} images
 * @param {number[]} labels
 */
const scoresOrNull = async (model, images, labels) =>
  model.entry.discriminates ? (await model.scores(images, labels)).map(v => rounded(v, 2)) : null;
/** @param {string} given @param {string[]} names */
function digitsOf(given, names) {
  const text = given.trim();
  const digits = [...'0123456789'];
  if (!digits.every(digit => names.includes(digit))) {
    throw new MistakeError('This model has no classes 0 to 9, so it cannot write numbers.');
  }
  if (!text) throw new MistakeError('Type a number: one to twelve digits, such as 2026.');
  if (![...text].every(letter => digits.includes(letter))) {
    throw new MistakeError('Only the digits 0 to 9 can be written: the model has learned nothing else.');
  }
  if (text.length > MOST_DIGITS) throw new MistakeError(`That is ${text.length} digits; at most ${MOST_DIGITS} fit.`);
  return text;
}

/** @type {Record<string, (payload: Payload) => Promise<Record<string, unknown>>>} */
export const classes = {
  async row(payload) {
    const { model, count, seed, psi } = await asked(payload);
    const [latent] = await model.normal(1, seed);
    const labels = Array.from({ length: count }, (_, i) => i);
    const images = await model.images(
      labels.map(() => latent.map(v => v * psi)),
      labels,
    );
    return {
      model: model.entry.name,
      row: await sheetUri(toPixels(images), count),
      scores: await scoresOrNull(model, images, labels),
      code: everyClassCode(model.entry, count, seed, psi),
    };
  },
  async samples(payload) {
    const { model, names, seed, psi } = await asked(payload);
    const labels = Array(PER_CLASS).fill(payload.label);
    const images = await model.images(await model.latents(PER_CLASS, seed, psi), labels);
    return {
      model: model.entry.name,
      samples: await sheetUri(toPixels(images), PER_CLASS),
      scores: await scoresOrNull(model, images, labels),
      code: oneClassCode(model.entry, names[payload.label], PER_CLASS, seed, psi),
    };
  },
  async table(payload) {
    const { model, count, seed, psi } = await asked(payload);
    const latents = (await model.normal(STYLES, seed)).flatMap(row => Array(count).fill(row.map(v => v * psi)));
    const images = await model.images(
      latents,
      latents.map((_, i) => i % count),
    );
    return {
      model: model.entry.name,
      table: await sheetUri(toPixels(images), count),
      code: tableCode(model.entry, STYLES, count, seed, psi),
    };
  },
  async mix(payload) {
    const { model, names, seed, psi } = await asked(payload);
    const [latent] = await model.normal(1, seed);
    const ends = [payload.a, payload.b];
    const images = await model.images(Array(FRAMES).fill(latent.map(v => v * psi)), mixed(ends, names.length, FRAMES));
    const code = mixCode(
      model.entry,
      ends.map(i => names[i]),
      seed,
      psi,
    );
    return { model: model.entry.name, film: await sheetUri(toPixels(images), FRAMES), code };
  },
  async write(payload) {
    const { model, names, seed, psi } = await asked(payload);
    const text = digitsOf(payload.text, names);
    const labels = [...text].map(digit => names.indexOf(digit));
    const images = await model.images(await model.latents(text.length, seed, psi), labels);
    return {
      model: model.entry.name,
      number: await sheetUri(toPixels(images), text.length),
      length: text.length,
      code: numberCode(model.entry, text, seed, psi),
    };
  },
};
