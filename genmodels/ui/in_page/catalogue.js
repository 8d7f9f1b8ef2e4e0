// Which models and real images lie beside the page.
import { BrokenError, fetchBytes, fetchJson, once } from './engine.js';
import { Model, pause } from './networks.js';

/** @typedef {import('./networks.js').Entry} Entry */
/** @typedef {import('./networks.js').Pixels} Pixels */
/** @typedef {{entry: Entry, train: Pixels[], test: Pixels[], trainLabels: number[], testLabels: number[]}} Real */

/** What a visitor did wrong, in words for them. */
export class MistakeError extends Error {}

/** @type {Entry[]} */
let entries = [];
/** @type {Map<string, Model>} */
const models = new Map();

/** @param {Entry[]} given models/index.json */
export function know(given) {
  entries = given;
  for (const entry of given) models.set(`${entry.kind} ${entry.name}`, new Model(entry));
}
/** Whether there is any of a kind, be it one that does not work. @param {string} kind */
export const isKnown = kind => entries.some(entry => entry.kind === kind);
/** Those of a kind that work here. @param {string} kind */
export const entriesOf = kind => entries.filter(entry => entry.kind === kind && !entry.reason);
/** @param {Entry} entry */
const modelOf = entry => /** @type {Model} */ (models.get(`${entry.kind} ${entry.name}`));
/**
 * The model of a kind that a visitor asks for by its name, the tab's first one for no name.
 * @param {string} kind @param {unknown} [name]
 */
export function chosen(kind, name) {
  const known = entries.filter(entry => entry.kind === kind);
  const entry = known.find(entry => entry.name === name) ?? known.find(entry => entry.main) ?? known[0];
  if (!entry) throw new BrokenError('There is no such model beside this page.');
  if (entry.reason) throw new BrokenError(entry.reason);
  return modelOf(entry);
}
/** The evaluator of images of a shape; null where there is none. @param {number} size @param {number} channels */
export function evaluatorOf(size, channels) {
  const entry = entriesOf('evaluator').find(entry => entry.size === size && entry.channels === channels);
  return entry ? modelOf(entry) : null;
}
/**
 * Images like those that a model learned from; null where there are none. @param {string} kind @returns {Promise<Real |
 * null>}
 */
export async function realOf(kind) {
  const entry = entriesOf('sample').find(entry => entry.of.includes(kind));
  if (!entry) return null;
  return once(`real ${entry.folder}`, async () => {
    const labels = await fetchJson(`models/${entry.folder}/labels.json`, entry.title);
    const all = cut(labels.files ? await laidOut(labels, entry) : await sheetOf(entry), entry);
    return {
      entry,
      train: all.slice(0, entry.train),
      test: all.slice(entry.train),
      trainLabels: labels.train,
      testLabels: labels.test,
    };
  });
}
/** @param {Entry} entry */
async function sheetOf(entry) {
  const bytes = await fetchBytes(`models/${entry.folder}/images.webp`, entry.title, entry.bytes);
  const image = await bitmapOf(bytes, entry);
  return { pen: drawn(image.width, image.height, [[image, 0, 0]]), width: image.width, height: image.height };
}
/**
 * Pictures that are a file each, as a sheet. @param {{files: string, lengths: number[]}} labels @param {Entry} entry
 */
async function laidOut({ files, lengths }, entry) {
  const bytes = Uint8Array.from(atob(files), letter => letter.charCodeAt(0));
  const { size, columns } = entry;
  let at = 0;
  const images = await Promise.all(
    lengths.map(async (length, n) => {
      const from = at;
      at += length;
      const image = await bitmapOf(bytes.subarray(from, from + length), entry);
      return /** @type {[ImageBitmap, number, number]} */ ([
        image,
        (n % columns) * size,
        Math.floor(n / columns) * size,
      ]);
    }),
  );
  const [width, height] = [columns * size, Math.ceil(lengths.length / columns) * size];
  return { pen: drawn(width, height, images), width, height };
}
/** @param {Uint8Array} bytes @param {Entry} entry */
async function bitmapOf(bytes, { title }) {
  try {
    return await createImageBitmap(new Blob([/** @type {BlobPart} */ (bytes)]), { colorSpaceConversion: 'none' });
  } catch {
    throw new BrokenError(`${title} cannot be shown: the file is damaged.`);
  }
}
/** @param {number} width @param {number} height @param {[ImageBitmap, number, number][]} images */
function drawn(width, height, images) {
  const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext('2d'));
  for (const [image, left, top] of images) pen.drawImage(image, left, top);
  return pen;
}
/**
 * The pictures of a sheet.
 * @param {{pen: OffscreenCanvasRenderingContext2D, width: number, height: number}} sheet @param {Entry} entry
 * @returns {Pixels[]}
 */
function cut({ pen, width, height }, { size, channels, columns, train, test }) {
  const { data } = pen.getImageData(0, 0, width, height);
  const count = train + test;
  return Array.from({ length: count }, (_, n) => {
    const pixels = new Uint8Array(size * size * channels);
    for (let c = 0; c < channels; c++) {
      // Browsers keep colours under opacity only roughly: their opacity is a picture of its own, behind all of them.
      const [place, channel] = c === 3 ? [count + n, 0] : [n, c];
      const [left, top] = [(place % columns) * size, Math.floor(place / columns) * size];
      for (let i = 0; i < size * size; i++) {
        const from = 4 * ((top + Math.floor(i / size)) * width + left + (i % size));
        pixels[i * channels + c] = data[from + channel];
      }
    }
    return { data: pixels, width: size, height: size, channels };
  });
}
/** `real` where it must be. @param {string} kind @param {Model} model */
export async function realBeside(kind, model) {
  const real = await realOf(kind);
  if (!real) throw new MistakeError(`There are no images beside ${model.entry.title} to compare with.`);
  return real;
}

/** @type {WeakMap<Pixels, ArrayLike<number>>} */
const points = new WeakMap();
/** What distances are between: colours count for as much as their opacity. @param {Pixels} picture */
function pointOf(picture) {
  const { data, channels } = picture;
  if (channels !== 4) return data;
  const known = points.get(picture);
  if (known) return known;
  const point = Float32Array.from(data, (v, i) => (i % 4 === 3 ? v : (v * data[i | 3]) / 255));
  points.set(picture, point);
  return point;
}
/**
 * Numbers and distances of the pictures nearest to one, the nearest first: root mean square of the pixels, from 0 for
 * the same to 1 for black and white.
 * @param {Pixels} picture @param {Pixels[]} among @param {number} count
 */
export function nearestTo(picture, among, count) {
  const data = pointOf(picture);
  const middle = data.length >> 2;
  /** @type {{n: number, sum: number}[]} */
  const found = [];
  let most = Infinity;
  for (let n = 0; n < among.length; n++) {
    const other = pointOf(among[n]);
    let sum = 0;
    // What is farther away than the farthest of those found is not looked at to its end; the middle, which differs
    // most,
    // comes first.
    for (let i = 0, at = middle; i < data.length && sum < most; ) {
      for (const end = Math.min(i + 64, data.length); i < end; i++) {
        const difference = data[at] - other[at];
        sum += difference * difference;
        if (++at === data.length) at = 0;
      }
    }
    if (sum >= most) continue;
    let at = found.length;
    while (at > 0 && found[at - 1].sum > sum) at--;
    found.splice(at, 0, { n, sum });
    if (found.length > count) found.pop();
    if (found.length === count) most = found[count - 1].sum;
  }
  return found.map(({ n, sum }) => ({ n, distance: Math.sqrt(sum / data.length) / 255 }));
}
/**
 * `nearestTo` of many, between which other calls have their turn.
 * @param {Pixels[]} pictures @param {Pixels[]} among @param {number} count
 */
export async function nearestToEach(pictures, among, count) {
  const found = [];
  for (const [i, picture] of pictures.entries()) {
    if (i % 8 === 7) await pause();
    found.push(nearestTo(picture, among, count));
  }
  return found;
}
/** @param {number} v @param {number} digits */
export const rounded = (v, digits) => Number(v.toFixed(digits));
/** `np.linspace(0, last, count).astype(int)`. @param {number} last @param {number} count */
export const spacedIndices = (last, count) =>
  Array.from({ length: count }, (_, i) => (i === count - 1 ? last : Math.floor(i * (last / (count - 1)))));
