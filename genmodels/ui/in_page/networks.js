// Exported models, as the pipelines of Python are called: latents in, pictures out.
import { BrokenError, fetchJson, runNetwork } from './engine.js';
import { pngUri } from './png.js';
import { drawLatents, toMixture } from './random.js';

/** @typedef {import('./random.js').Latents} Latents */
/** @typedef {import('./engine.js').Tensor} Tensor `pixel_values` (N, C, H, W) in [-1, 1] */
/** @typedef {import('./png.js').Pixels} Pixels */
/** @typedef {Record<string, any> & {name: string, folder: string, kind: string}} Entry of models/index.json */

// Images of one pass, so many that the table of classes is one; of a network that compares those of a pass, as many as
// in Python. Between two, the worker takes other calls: nobody's pointer waits for a thousand images.
const [CHUNK, COMPARED] = [80, 256];
export const pause = () => new Promise(done => setTimeout(done));

export class Model {
  /** @param {Entry} entry */
  constructor(entry) {
    this.entry = entry;
  }
  /** The content of export.json. @returns {Promise<Record<string, any>>} */
  async facts() {
    const facts = await this.file('export.json');
    if (facts.version !== 1)
      throw new BrokenError(`${this.entry.title} was exported for another version of this page.`);
    return facts;
  }
  /** A JSON file of its folder. @param {string} name */
  file(name) {
    return fetchJson(`models/${this.entry.folder}/${name}`, this.entry.title);
  }
  /**
   * What one of its networks says, chunk by chunk: inputs are (N, ...), but for `step`.
   * @param {string} network @param {Record<string, Tensor>} inputs @returns {Promise<Record<string, Tensor>>}
   */
  async run(network, inputs) {
    const { networks } = await this.facts();
    if (!networks[network]) throw new BrokenError(`${this.entry.title} has no ${network}.`);
    const { file, depends_on_batch: compares } = networks[network];
    const size = compares ? COMPARED : CHUNK;
    const count = Object.values(inputs)[0].shape[0];
    /** @type {Record<string, Tensor>[]} */
    const chunks = [];
    for (let start = 0; start < count; start += size) {
      if (start) await pause();
      const part = Object.entries(inputs).map(([name, tensor]) => [
        name,
        name === 'step' ? tensor : rows(tensor, start, start + size),
      ]);
      const path = `models/${this.entry.folder}/${file}`;
      chunks.push(await runNetwork(path, this.entry.title, networks[network], Object.fromEntries(part)));
    }
    return Object.fromEntries(Object.keys(chunks[0]).map(name => [name, joinRows(chunks.map(chunk => chunk[name]))]));
  }
  /**
   * Latents of a seed as the model draws from them.
   * @param {number} count @param {number} seed @param {number} psi @returns {Promise<Latents>}
   */
  async latents(count, seed, psi = 1) {
    const { latents: law } = await this.facts();
    const drawn = drawLatents(count, law.dim, seed);
    return law.law === 'mixture' ? toMixture(drawn, law, psi) : scaled(drawn, psi);
  }
  /** Latents of a seed from N(0, I). @param {number} count @param {number} seed */
  async normal(count, seed) {
    return drawLatents(count, (await this.facts()).latents.dim, seed);
  }
  /**
   * `pixel_values` of latents; of a model that draws in steps or levels those after each, the last being the images.
   * @param {Latents} latents @param {Labels} [labels] by default the classes in turn
   * @param {(images: Tensor) => unknown} [see] what is shown of each step
   * @returns {Promise<Tensor[]>}
   */
  async stages(latents, labels, see = () => {}) {
    const { classes, draws, networks, schedule } = await this.facts();
    const count = latents.length;
    /** @type {Record<string, Tensor>} */
    const inputs = { latents: tensorOf(latents) };
    if (classes) {
      const given = labels ?? latents.map((_, i) => i % classes.names.length);
      const port = networks[draws].inputs.find((/** @type {any} */ { name }) => name === 'class_weights');
      if (!port) throw new BrokenError(`${this.entry.title} was exported without class_weights.`);
      inputs.class_weights = weightsOf(given, port.shape[1]);
    }
    if (!schedule) {
      const { pixel_values: images, ...said } = await this.run(draws, inputs);
      const levels = Object.keys(said).filter(name => name.startsWith('stage_'));
      return [...levels.sort().map(name => said[name]), images];
    }
    /** @type {Tensor[]} */
    const drawn = [];
    // It begins with noise, which is there at once.
    const { shape } = networks[draws].outputs.find((/** @type {any} */ { name }) => name === 'pixel_values');
    if (schedule.patch_size) await see(fromPatches(latents, shape.slice(1), schedule.patch_size));
    for (const row of schedule.steps) {
      const step = { data: Float32Array.from(row), shape: [row.length] };
      const said = await this.run(draws, { ...inputs, step });
      inputs.latents = { data: said.next_latents.data, shape: [count, latents[0].length] };
      drawn.push(said.pixel_values);
      await see(said.pixel_values);
      await pause();
    }
    return drawn;
  }
  /**
   * @param {Latents} latents @param {Labels} [labels] @param {(images: Tensor) => unknown} [see]
   * @returns {Promise<Tensor>}
   */
  async images(latents, labels, see) {
    return /** @type {Tensor} */ ((await this.stages(latents, labels, see)).at(-1));
  }
  /**
   * What the discriminator says of images, (N,).
   * @param {Tensor} images @param {number[]} labels
   */
  async scores(images, labels) {
    const { networks } = await this.facts();
    /** @type {Record<string, Tensor>} */
    const inputs = { pixel_values: withinOpacity(images) };
    const port = networks.discriminator.inputs.find((/** @type {any} */ { name }) => name === 'class_weights');
    if (port) inputs.class_weights = weightsOf(labels, port.shape[1]);
    const { data, shape } = Object.values(await this.run('discriminator', inputs))[0];
    const columns = data.length / shape[0];
    return Array.from({ length: shape[0] }, (_, i) => {
      const score = data.slice(i * columns, (i + 1) * columns).reduce((sum, v) => sum + v, 0);
      return Number.isNaN(score) ? 0 : score;
    });
  }
}
/** @typedef {(number | number[])[]} Labels numbers of classes, or weights of all of them */

/** @param {Latents} latents @param {number} psi @returns {Latents} */
export const scaled = (latents, psi) => (psi === 1 ? latents : latents.map(row => row.map(v => v * psi)));
/** @param {ArrayLike<number>[]} given rows of the same length @returns {Tensor} */
export function tensorOf(given) {
  const width = given[0].length;
  const data = new Float32Array(given.length * width);
  given.forEach((row, i) => data.set(row, i * width));
  return { data, shape: [given.length, width] };
}
/** @param {Labels} labels @param {number} width */
const weightsOf = (labels, width) =>
  tensorOf(
    labels.map(label =>
      Array.from({ length: width }, (_, i) => (typeof label === 'number' ? Number(i === label) : (label[i] ?? 0))),
    ),
  );
/** @param {Tensor} tensor @param {number} start @param {number} end @returns {Tensor} */
export function rows({ data, shape: [count, ...rest] }, start, end) {
  const width = data.length / count;
  const last = Math.min(end, count);
  return { data: data.subarray(start * width, last * width), shape: [last - start, ...rest] };
}
/**
 * As torch's pixel_shuffle.
 * @param {Latents} latents @param {number[]} shape of an image @param {number} side of a patch
 */
function fromPatches(latents, [channels, height, width], side) {
  const data = new Float32Array(latents.length * channels * height * width);
  let at = 0;
  for (const row of latents)
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const plane = (c * side + (y % side)) * side + (x % side);
          data[at++] = row[(plane * (height / side) + Math.floor(y / side)) * (width / side) + Math.floor(x / side)];
        }
  return { data, shape: [latents.length, channels, height, width] };
}
/** @param {Tensor[]} parts @returns {Tensor} */
export function joinRows(parts) {
  if (parts.length === 1) return parts[0];
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  parts.reduce((at, part) => {
    data.set(part.data, at);
    return at + part.data.length;
  }, 0);
  return { data, shape: [parts.reduce((sum, part) => sum + part.shape[0], 0), ...parts[0].shape.slice(1)] };
}

/** @param {number} v */
const to8Bits = v => Math.min(Math.max(Math.round(v * 255), 0), 255);
/**
 * `pixel_values` as (N, H, W, C) bytes, an array an image; colours with opacity are no more multiplied by it.
 * @param {Tensor} tensor @returns {Pixels[]}
 */
export function toPixels({ data, shape: [count, channels, height, width] }) {
  const area = height * width;
  return Array.from({ length: count }, (_, n) => {
    const bytes = new Uint8Array(area * channels);
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < area; i++) {
        const value = (data[(n * channels + c) * area + i] + 1) / 2;
        const opacity = channels === 4 && c < 3 ? (data[(n * channels + 3) * area + i] + 1) / 2 : 1;
        bytes[i * channels + c] = to8Bits(Math.min(Math.max(value / Math.max(opacity, 1 / 255), 0), 1));
      }
    }
    return { data: bytes, width, height, channels };
  });
}
/** Pictures of bytes as a network sees them. @param {Pixels[]} pictures @returns {Tensor} */
export function toTensor(pictures) {
  const [{ width, height, channels }] = pictures;
  const area = width * height;
  const data = new Float32Array(pictures.length * channels * area);
  pictures.forEach((picture, n) => {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < area; i++) {
        const opacity = channels === 4 && c < 3 ? picture.data[4 * i + 3] / 255 : 1;
        data[(n * channels + c) * area + i] = (picture.data[i * channels + c] * opacity) / 127.5 - 1;
      }
    }
  });
  return { data, shape: [pictures.length, channels, height, width] };
}
/**
 * Images whose colours are no brighter than their opacity lets them be, as those are that one can save. @param {Tensor}
 * tensor @returns {Tensor}
 */
function withinOpacity({ data, shape }) {
  const [count, channels, height, width] = shape;
  const area = height * width;
  if (channels !== 4) return { data, shape };
  const kept = data.slice();
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < 3 * area; i++) {
      const at = n * 4 * area;
      kept[at + i] = Math.min(kept[at + i], kept[at + 3 * area + (i % area)]);
    }
  }
  return { data: kept, shape };
}
/** Pictures with opacity, laid on white. @param {Pixels} picture @returns {Pixels} */
export function opaque(picture) {
  const { data, width, height, channels } = picture;
  if (channels !== 4) return picture;
  const laid = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const share = data[4 * i + 3] / 255;
    for (let c = 0; c < 3; c++) laid[3 * i + c] = data[4 * i + c] * share + 255 * (1 - share);
  }
  return { data: laid, width, height, channels: 3 };
}
/** A contact sheet as a data URI. @param {Pixels[]} pictures @param {number} columns */
export function sheetUri(pictures, columns) {
  const [{ width, height, channels }] = pictures;
  const lines = Math.ceil(pictures.length / columns);
  const row = columns * width * channels;
  const data = new Uint8Array(lines * height * row);
  pictures.forEach((picture, n) => {
    const left = (n % columns) * width * channels;
    const top = Math.floor(n / columns) * height;
    for (let y = 0; y < height; y++) {
      data.set(picture.data.subarray(y * width * channels, (y + 1) * width * channels), (top + y) * row + left);
    }
  });
  return pngUri([{ data, width: columns * width, height: lines * height, channels }]);
}
