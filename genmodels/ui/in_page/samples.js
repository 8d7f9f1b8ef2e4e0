// The Samples tab, as its Python computes it.

import { chosen, entriesOf, MistakeError, rounded } from './catalogue.js';
import { ElsewhereError, once } from './engine.js';
import { scaled, sheetUri, toPixels } from './networks.js';
import { pngUri } from './png.js';
import { betweenCode, childrenCode, loopCode, movedCode, sheetCode, sideBySideCode, stagesCode } from './programs.js';
import { circleLatents, crossLatents, Generator, walkLatents } from './random.js';

/** @typedef {import('./networks.js').Model} Model */
/** @typedef {import('./networks.js').Latents} Latents */
/** @typedef {Record<string, any>} Payload */

// Frames of a way, images whose stages are shown and most of the steps among them; see samples/__init__.py.
export const FRAMES = 25;
const [STAGED, STEPS_SHOWN] = [4, 6];
// Of the views beside: columns of the gallery and the numbers that they share, children, frames of the loop, images
// that move.
const [GALLERY_COLUMNS, LONGEST] = [6, 4096];
const [CHILDREN, CHILD_COLUMNS, FOUNDERS, MOST_Z] = [12, 4, 2, 10];
const [LOOP_FRAMES, LOOP_MS, SCALE] = [48, 60, 8];
const MOVED = 8;

const KIND = 'samples';
const of = (/** @type {Payload} */ payload) => chosen(KIND, payload.model);
/** A model with a single latent to cross and to move. @param {Payload} payload */
function breeding(payload) {
  const model = of(payload);
  if (!model.entry.breeds)
    throw new MistakeError(`${model.entry.title} does not draw from a single latent: choose another model.`);
  return model;
}
/**
 * What is asked for beside the seed: truncation, and one class for all, without which they are drawn in turn. Guided
 * images take two passes for each step, which exported models do not know.
 * @param {Model} model @param {Payload} payload
 */
function askedOf({ entry }, payload) {
  if (entry.guided && (payload.guidance ?? 1) !== 1) {
    throw new ElsewhereError('Guided images are drawn by the server alone.');
  }
  const psi = entry.truncates ? (payload.psi ?? 1) : 1;
  const name = entry.class_names[entry.class_names.indexOf(payload.class ?? entry.class)];
  /** @type {import('./programs.js').Options} */
  const label = name === undefined ? {} : { class_labels: name };
  const labels = (/** @type {number} */ count) =>
    name === undefined ? undefined : Array(count).fill(entry.class_names.indexOf(name));
  return { psi, label, labels, options: entry.truncates ? { psi, ...label } : label };
}
/**
 * The way between two latents, of one class or with the classes that they have in a call. @param {Model} model @param
 * {Float32Array} a @param {Float32Array} b @param {number[]} pair @param {number} psi @param {number} [label]
 */
async function way(model, a, b, pair, psi, label) {
  const { classes } = await model.facts();
  const ends = classes ? pair.map(i => label ?? i % classes.names.length) : null;
  const latents = scaled(walkLatents(a, b, FRAMES), psi);
  const images = await model.images(latents, ends ? mixed(ends, classes.names.length, FRAMES) : undefined);
  return { film: await sheetUri(toPixels(images), FRAMES), names: ends ? ends.map(i => classes.names[i]) : null };
}
/**
 * `label_path`: weights from the first of two classes to the second. @param {number[]} ends @param {number} classes
 * @param {number} steps
 */
export const mixed = ([from, to], classes, steps) =>
  Array.from({ length: steps }, (_, k) => {
    const t = k / (steps - 1);
    return Array.from({ length: classes }, (_, i) => (i === from ? 1 - t : 0) + (i === to ? t : 0));
  });

/** @type {Record<string, (payload: Payload, tell: (part: object) => void) => Promise<Record<string, unknown>>>} */
export const samples = {
  async sheet(payload, tell) {
    const model = of(payload);
    const { seed, count } = payload;
    const { psi, labels, options } = askedOf(model, payload);
    const answer = async (/** @type {import('./networks.js').Tensor} */ images) => {
      const pictures = toPixels(images);
      return {
        sheet: await sheetUri(pictures, Math.round(Math.sqrt(count))),
        size: pictures[0].width,
        model: model.entry.name,
        seed,
        count,
        code: sheetCode(model.entry, count, seed, options),
      };
    };
    const latents = await model.latents(count, seed, psi);
    // Of what is drawn in steps, each step is shown.
    return answer(await model.images(latents, labels(count), async images => tell(await answer(images))));
  },
  async between(payload) {
    const model = of(payload);
    const { seed, a, b } = payload;
    const { psi, labels, options } = askedOf(model, payload);
    const latents = await model.latents(Math.max(a, b) + 1, seed);
    const { film, names } = await way(model, latents[a], latents[b], [a, b], psi, labels(1)?.[0]);
    const given = { ...(names ? { class_labels: names } : {}), ...options };
    return { film, a, b, code: betweenCode(model.entry, a, b, seed, given) };
  },
  async stages(payload) {
    const model = of(payload);
    const { schedule } = await model.facts();
    const { psi, labels, options } = askedOf(model, payload);
    const drawn = await model.stages(await model.latents(STAGED, payload.seed, psi), labels(STAGED));
    if (drawn.length < 2) throw new MistakeError(`${model.entry.title} draws its images in one go, not in stages.`);
    // Of the steps of a diffusion model some are shown, of the levels of a LAPGAN all.
    const shown = schedule ? Math.min(drawn.length, STEPS_SHOWN) : drawn.length;
    const numbers = Array.from({ length: shown }, (_, i) => 1 + Math.floor((i * (drawn.length - 1)) / (shown - 1)));
    const pictures = numbers.map(number => toPixels(drawn[number - 1]));
    const steps = schedule ? numbers : null;
    return {
      model: model.entry.name,
      sheets: await Promise.all(pictures.map(row => sheetUri(row, STAGED))),
      sizes: pictures.map(([{ width }]) => width),
      steps,
      code: stagesCode(model.entry, STAGED, payload.seed, options, steps),
    };
  },
  // Every model's image of the same random numbers.
  async row(payload) {
    const model = of(payload);
    const { latents: law } = await model.facts();
    if (law.dim > LONGEST)
      throw new MistakeError(`${model.entry.title} has too long a latent to stand beside the others.`);
    const numbers = new Generator(payload.seed).normals(GALLERY_COLUMNS * LONGEST);
    const latents = Array.from({ length: GALLERY_COLUMNS }, (_, i) =>
      numbers.slice(i * LONGEST, i * LONGEST + law.dim),
    );
    const { labels } = askedOf(model, {});
    const pictures = toPixels(await model.images(latents, labels(GALLERY_COLUMNS)));
    const { a, b } = payload;
    const { film } = await way(model, latents[a], latents[b], [a, b], 1, labels(1)?.[0]);
    const others = entriesOf(KIND).filter(entry => entry.latent_dim <= LONGEST);
    return {
      model: model.entry.name,
      size: pictures[0].width,
      latent_dim: law.dim,
      sheet: await sheetUri(pictures, GALLERY_COLUMNS),
      film,
      code: sideBySideCode(others, payload.seed, GALLERY_COLUMNS, LONGEST),
    };
  },
  async founders(payload) {
    const model = breeding(payload);
    const drawn = await model.normal(FOUNDERS, payload.seed);
    const latents = drawn.map(row => Array.from(row, v => rounded(v, 2)));
    const { labels } = askedOf(model, payload);
    const rows = latents.map(row => Float32Array.from(row));
    const images = await model.images(rows, labels(FOUNDERS));
    return { model: model.entry.name, latents, sheet: await sheetUri(toPixels(images), FOUNDERS) };
  },
  async litter(payload) {
    const model = breeding(payload);
    const { dim } = (await model.facts()).latents;
    /** @type {number[][]} */
    const parents = payload.parents.map((/** @type {number[]} */ row) =>
      row.map(v => rounded(Math.min(Math.max(v, -MOST_Z), MOST_Z), 2)),
    );
    if (parents.length !== 2 || parents.some(row => row.length !== dim)) {
      throw new MistakeError(`A parent is a list of ${dim} numbers: begin again.`);
    }
    const mutation = rounded(payload.mutation, 2);
    const latents = crossLatents(parents[0], parents[1], CHILDREN, mutation, payload.seed);
    const { label, labels } = askedOf(model, payload);
    const pictures = toPixels(await model.images(latents, labels(CHILDREN)));
    return {
      model: model.entry.name,
      latents: latents.map(row => Array.from(row, v => rounded(v, 2))),
      sheet: await sheetUri(pictures, CHILD_COLUMNS),
      size: pictures[0].width,
      code: childrenCode(model.entry, parents, mutation, payload.seed, CHILDREN, label),
    };
  },
  async moved(payload) {
    const model = breeding(payload);
    const { label, labels } = askedOf(model, payload);
    if ((label.class_labels ?? '') !== model.entry.class) {
      throw new ElsewhereError('Directions within other classes are found by the server alone.');
    }
    const { directions, explained } = await model.file('directions.json');
    /** @type {number[]} */
    const strengths = directions.map((/** @type {unknown} */ _, /** @type {number} */ k) =>
      rounded(payload.strengths[k] ?? 0, 2),
    );
    const latents = await model.latents(MOVED, payload.seed);
    const by = latents[0].map((_, i) => strengths.reduce((sum, strength, k) => sum + strength * directions[k][i], 0));
    // While a slider is dragged, what stands before it stays.
    const before = await once(`unmoved ${model.entry.name} ${payload.seed}`, async () =>
      sheetUri(toPixels(await model.images(latents, labels(MOVED))), MOVED),
    );
    const after = latents.map(row => row.map((v, i) => v + by[i]));
    const moved = toPixels(await model.images(after, labels(MOVED)));
    return {
      model: model.entry.name,
      seed: payload.seed,
      size: moved[0].width,
      before,
      after: await sheetUri(moved, MOVED),
      strengths,
      explained,
      code: movedCode(model.entry, payload.seed, strengths, MOVED, label),
    };
  },
  async loop(payload) {
    const model = breeding(payload);
    const [a, b] = await model.latents(2, payload.seed);
    const { label, labels } = askedOf(model, payload);
    const pictures = toPixels(await model.images(circleLatents(a, b, LOOP_FRAMES), labels(LOOP_FRAMES)));
    const frames = pictures.map(enlarged);
    return {
      model: model.entry.name,
      seed: payload.seed,
      size: frames[0].width,
      film: await pngUri(frames, LOOP_MS),
      extension: 'png',
      code: loopCode(model.entry, payload.seed, LOOP_FRAMES, SCALE, LOOP_MS, label),
    };
  },
};
/** A picture, each of its pixels SCALE times as wide. @param {import('./png.js').Pixels} picture */
function enlarged({ data, width, height, channels }) {
  const [wide, high] = [width * SCALE, height * SCALE];
  const pixels = new Uint8Array(wide * high * channels);
  for (let y = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      const from = (Math.floor(y / SCALE) * width + Math.floor(x / SCALE)) * channels;
      for (let c = 0; c < channels; c++) pixels[(y * wide + x) * channels + c] = data[from + c];
    }
  }
  return { data: pixels, width: wide, height: high, channels };
}
