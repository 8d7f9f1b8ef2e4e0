// The Map tab with its views, as their Python computes them.
import { chosen, MistakeError, realBeside, rounded } from './catalogue.js';
import { fetchJson } from './engine.js';
import { opaque, sheetUri, toPixels, toTensor } from './networks.js';
import { base64 } from './png.js';
import {
  arithmeticCode,
  bothCode,
  drawnCode,
  editCode,
  factorsCode,
  lineCode,
  posteriorCode,
  reconstructCode,
  spotCode,
} from './programs.js';
import { Generator } from './random.js';
import { FRAMES } from './samples.js';

/** @typedef {import('./networks.js').Model} Model */
/** @typedef {import('./networks.js').Pixels} Pixels */
/** @typedef {Record<string, any>} Payload */

// See map/__init__.py and faces/__init__.py.
const [DRAWING, INK_BOX, INK_FRAME, INK, DRAWS, MOST] = [112, 20, 28, 32, 8, 6];
const PAIR = ['map', 'autoencoder'];
const [FACES, LIMIT, STEPS, MOST_ATTRIBUTES, FARTHEST] = [12, 2, 5, 8, 100];

/** @param {number[][]} latents @param {Model} model @returns {Promise<Pixels[]>} */
const pictures = async (latents, model) =>
  toPixels(await model.images(latents.map(row => Float32Array.from(row)))).map(opaque);
/** @param {Pixels} picture */
const raw = picture => base64(opaque(picture).data);
/** @param {number} v @param {number} most */
const within = (v, most) => Math.min(Math.max(Number.isFinite(v) ? v : 0, -most), most);
/** @param {ArrayLike<number>} z @param {number} most */
const point = (z, most = MOST) => [z[0], z[1]].map(v => rounded(within(v, most), 2) + 0);
const bytesIn = (/** @type {string} */ text) => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));

/**
 * Rows or columns made fewer, each the mean of those that it covers, as Pillow's box filter does it.
 * @param {Float64Array[]} lines @param {number} count
 */
function boxed(lines, count) {
  const scale = lines.length / count;
  const reach = Math.max(scale, 1) / 2;
  return Array.from({ length: count }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(lines.length, Math.trunc(centre + reach + 0.5));
    const shares = Array.from({ length: last - first }, (_, k) => {
      const x = (first + k - centre + 0.5) / (2 * reach);
      return Number(x > -0.5 && x <= 0.5);
    });
    const sum = shares.reduce((a, b) => a + b, 0);
    return lines[0].map((_, j) =>
      Math.round(shares.reduce((a, share, k) => a + (share / sum) * lines[first + k][j], 0)),
    );
  });
}
/** @param {Float64Array[]} lines */
const turned = lines => Array.from(lines[0], (_, j) => Float64Array.from(lines, line => line[j]));
/**
 * Puts a drawing where a VAE of MNIST digits expects it, see `centre_drawing`; null if there is no ink.
 * @param {Uint8Array} drawing @param {number} size
 */
export function centred(drawing, size) {
  let [top, bottom, left, right] = [DRAWING, -1, DRAWING, -1];
  drawing.forEach((v, i) => {
    if (v < INK) return;
    const [y, x] = [Math.floor(i / DRAWING), i % DRAWING];
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
  });
  if (bottom < 0) return null;
  const ink = Array.from({ length: bottom - top + 1 }, (_, y) =>
    Float64Array.from({ length: right - left + 1 }, (_, x) => drawing[(top + y) * DRAWING + left + x]),
  );
  const scale = (size * INK_BOX) / INK_FRAME / Math.max(ink.length, ink[0].length);
  const [height, width] = [ink.length, ink[0].length].map(side => Math.max(1, Math.round(side * scale)));
  const small = boxed(turned(boxed(turned(ink), width)), height);
  const most = Math.max(1, ...small.map(line => Math.max(...line)));
  let [mass, down, across] = [0, 0, 0];
  small.forEach((line, y) =>
    line.forEach((v, x) => {
      mass += v;
      down += v * (y + 0.5);
      across += v * (x + 0.5);
    }),
  );
  const at = [down, across].map((sum, k) => {
    const side = [height, width][k];
    return Math.min(Math.max(Math.round(size / 2 - sum / mass), 0), size - side);
  });
  const bytes = new Uint8Array(size * size);
  small.forEach((line, y) =>
    line.forEach((v, x) => {
      bytes[(at[0] + y) * size + at[1] + x] = Math.round((v * 255) / most);
    }),
  );
  return bytes;
}

const map = () => chosen('map');
/** Where a picture lies on the map, and what comes back from there. @param {Pixels} picture */
async function placed(picture) {
  const model = map();
  const said = await model.run('encoder', { pixel_values: toTensor([picture]) });
  const z = point(said.mean.data, 1e6);
  const deviation = Array.from(said.log_variance.data.slice(0, 2), v => {
    const d = Math.exp(0.5 * v);
    return Number.isFinite(d) ? Math.min(d, 2 * MOST) : 0;
  });
  return { seen: raw(picture), picture: raw((await pictures([z], model))[0]), z, deviation };
}

const faces = () => chosen('faces');
async function attributes() {
  const model = faces();
  const { attributes: known, images, latents } = await model.facts();
  const names = /** @type {string[]} */ (known.names.slice(0, MOST_ATTRIBUTES));
  return {
    model,
    names,
    directions: /** @type {number[][]} */ (known.directions),
    size: images.size,
    dim: latents.dim,
  };
}
/**
 * The latent that the page means, a photo's or that of a face of a seed. @param {Model} model @param {Payload} payload
 */
async function faceOf(model, { z, seed = 10, index = 0, square }) {
  if (!z) return { latent: Array.from((await model.latents(index + 1, seed))[index]), face: { seed, index } };
  const corner = square.map((/** @type {number} */ v, /** @type {number} */ i) => Math.max(v, i === 2 ? 1 : 0));
  return { latent: z.map((/** @type {number} */ v) => within(v, FARTHEST)), face: { seed, index, square: corner } };
}

/** @type {Record<string, (payload: Payload) => Promise<Record<string, unknown>>>} */
export const mapFunctions = {
  async decode(payload) {
    const z = point(payload.z);
    return { picture: raw((await pictures([z], map()))[0]), z, code: spotCode(map().entry, z) };
  },
  async decoder() {
    return { layers: await map().file('layers.json'), code: spotCode(map().entry, [0, 0]) };
  },
  async resample(payload) {
    const [mean, deviation] = [point(payload.z), point(payload.deviation)];
    const noise = new Generator(payload.seed).normals(2 * DRAWS);
    const latents = Array.from({ length: DRAWS }, (_, i) => mean.map((v, k) => v + deviation[k] * noise[2 * i + k]));
    return {
      sheet: await sheetUri(await pictures(latents, map()), DRAWS),
      latents,
      code: posteriorCode(map().entry, mean, deviation, DRAWS, payload.seed),
    };
  },
  async drawn({ prior, seed }) {
    const { latents: law } = await map().facts();
    if (prior === 'fitted' && law.law !== 'mixture') {
      throw new MistakeError(`No law was fitted to the latents of ${map().entry.title}: it draws from N(0, I).`);
    }
    const wanted = prior === 'fitted' ? prior : 'normal';
    const latents = wanted === 'fitted' ? await map().latents(DRAWS, seed) : await map().normal(DRAWS, seed);
    return {
      sheet: await sheetUri(toPixels(await map().images(latents)), DRAWS),
      latents: latents.map(z => point(z, 1e6)),
      code: drawnCode(map().entry, DRAWS, seed, wanted),
    };
  },
  async line(payload) {
    const [a, b] = [point(payload.a), point(payload.b)];
    const latents = Array.from({ length: FRAMES }, (_, k) => a.map((v, i) => v + ((b[i] - v) * k) / (FRAMES - 1)));
    return { film: await sheetUri(await pictures(latents, map()), FRAMES), code: lineCode(map().entry, a, b) };
  },
  async place({ drawing }) {
    const { images } = await map().facts();
    const { channels, size } = images;
    const ink = centred(bytesIn(drawing), size);
    if (!ink) throw new MistakeError('Draw something first.');
    const data = Uint8Array.from({ length: ink.length * channels }, (_, i) => ink[Math.floor(i / channels)]);
    const answer = await placed({ data, width: size, height: size, channels });
    return { ...answer, code: spotCode(map().entry, answer.z) };
  },
  async example({ index }) {
    const real = await realBeside('map', map());
    const number = Math.min(Math.max(Math.trunc(index), 0), real.test.length - 1);
    const answer = await placed(real.test[number]);
    const code = real.entry.unchanged
      ? reconstructCode(map().entry, real.entry, number)
      : spotCode(map().entry, answer.z);
    return { ...answer, label: real.entry.class_names[real.testLabels[number]], code };
  },
};

/** @type {Record<string, (payload: Payload) => Promise<Record<string, unknown>>>} */
export const pairFunctions = {
  async pair() {
    const page = await fetchJson('models/pair.json', 'The two maps');
    if (page.reason) throw new MistakeError(page.reason);
    return page;
  },
  async decode_both(payload) {
    const z = point(payload.z);
    const shown = await Promise.all(PAIR.map(async kind => [kind, raw((await pictures([z], chosen(kind)))[0])]));
    return {
      ...Object.fromEntries(shown),
      z,
      code: bothCode(
        PAIR.map(kind => chosen(kind).entry),
        z,
      ),
    };
  },
  async decoders() {
    const layers = await Promise.all(PAIR.map(async kind => [kind, await chosen(kind).file('layers.json')]));
    const known = layers.every(([, found]) => found);
    return {
      layers: known ? Object.fromEntries(layers) : null,
      code: bothCode(
        PAIR.map(kind => chosen(kind).entry),
        [0, 0],
      ),
    };
  },
};

/** @type {Record<string, (payload: Payload) => Promise<Record<string, unknown>>>} */
export const faceFunctions = {
  async faces({ seed }) {
    const { model, names } = await attributes();
    const latents = await model.latents(FACES, seed);
    return {
      sheet: await sheetUri(toPixels(await model.images(latents)), FACES),
      seed,
      names,
      held_fixed: model.entry.held_fixed,
    };
  },
  async edit(payload) {
    const { model, names, directions, size } = await attributes();
    const { latent, face } = await faceOf(model, payload);
    const strengths = Object.fromEntries(
      names
        .map(name => [name, rounded(within(payload.strengths[name] ?? 0, LIMIT), 2)])
        .filter(([, strength]) => strength),
    );
    const moved = latent.map((/** @type {number} */ v, /** @type {number} */ i) =>
      names.reduce((sum, name, a) => sum + (strengths[name] ?? 0) * directions[a][i], v),
    );
    return { picture: raw((await pictures([moved], model))[0]), code: editCode(model.entry, size, face, strengths) };
  },
  async photo({ photo }) {
    const { model, size } = await attributes();
    const picture = { data: bytesIn(photo), width: size, height: size, channels: 3 };
    const { mean } = await model.run('encoder', { pixel_values: toTensor([picture]) });
    const z = Array.from(mean.data, v => rounded(within(v, FARTHEST), 4));
    return { picture: raw((await pictures([Array.from(mean.data)], model))[0]), z };
  },
  async arithmetic({ seed, a, b, c }) {
    const { model } = await attributes();
    const latents = await model.latents(FACES, seed);
    const sum = Array.from(latents[a], (v, i) => v - latents[b][i] + latents[c][i]);
    return { picture: raw((await pictures([sum], model))[0]), code: arithmeticCode(model.entry, seed, [a, b, c]) };
  },
  async factors(payload) {
    const { model, names, directions, size } = await attributes();
    const { latent, face } = await faceOf(model, payload);
    const [right, up] = [payload.a, payload.b].map(name => directions[names.indexOf(name)]);
    if (!right || !up || right === up) throw new MistakeError('Choose two different attributes.');
    const line = Array.from({ length: STEPS }, (_, k) => LIMIT * ((2 * k) / (STEPS - 1) - 1));
    const grid = [...line]
      .reverse()
      .flatMap(y =>
        line.map(x => latent.map((/** @type {number} */ v, /** @type {number} */ i) => v + x * right[i] + y * up[i])),
      );
    const code = factorsCode(model.entry, size, face, [payload.a, payload.b], STEPS, LIMIT);
    return { grid: await sheetUri(await pictures(grid, model), STEPS * STEPS), code };
  },
};
