// Python for the picture on the page, as `snippets.py` writes it.

/** @typedef {import('./networks.js').Entry} Entry */

const TORCH = 'import torch';
const PIL = 'from PIL import Image';
const GRID = 'from diffusers.utils import make_image_grid';
// Pictures of the strip that is shown of a film.
const STRIP = 9;
const quoted = (/** @type {string} */ text) => JSON.stringify(text);
/** @param {readonly number[]} values */
const listed = values => `[${values.map(v => v.toFixed(2)).join(', ')}]`;
const rowsOf = (/** @type {number} */ count) => Math.max(1, Math.round(Math.sqrt(count)));
/** @param {Entry} model @param {string[]} [extra] @param {string[]} [modules] */
const head = ({ class_name, saved }, extra = [], modules = []) =>
  `${[...extra, `from genmodels import ${[class_name, ...modules].join(', ')}`].join('\n')}\n\n` +
  `pipe = ${class_name}.from_pretrained(${quoted(saved)})\n`;
/** @typedef {Record<string, number | string | string[]>} Options of a call: psi and class_labels, in their order */
/** @param {Options} options */
const optionsOf = options =>
  Object.entries(options)
    .map(
      ([name, v]) =>
        `, ${name}=${Array.isArray(v) ? `(${v.map(quoted).join(', ')})` : typeof v === 'string' ? quoted(v) : v}`,
    )
    .join('');
/** @param {number} rows @param {number} columns @param {string} name */
const saved = (rows, columns, name) => `make_image_grid(images, rows=${rows}, cols=${columns}).save("${name}.png")\n`;

/** @param {Entry} model @param {number} count @param {number} seed @param {Options} options */
export const sheetCode = (model, count, seed, options) =>
  `${head(model, [GRID])}images = pipe(num_images=${count}, seed=${seed}${optionsOf(options)}).images\n` +
  saved(rowsOf(count), Math.floor(count / rowsOf(count)), 'samples');
/** @param {Entry} model @param {number} a @param {number} b @param {number} seed @param {Options} options */
export const betweenCode = (model, a, b, seed, options) =>
  `${head(model, [GRID])}latents = pipe(num_images=${Math.max(a, b) + 1}, seed=${seed}).latents\n` +
  `images = pipe.interpolate(latents[${a}], latents[${b}], steps=${STRIP}${optionsOf(options)}).images\n` +
  saved(1, STRIP, 'between');
/**
 * @param {Entry} model @param {number} count @param {number} seed @param {Options} options @param {number[] | null}
 * steps
 */
export function stagesCode(model, count, seed, options, steps) {
  const call = `num_images=${count}, seed=${seed}${optionsOf(options)}`;
  const drawn = steps
    ? `steps = pipe(${call}, return_trajectory=True).trajectory\n` +
      `stages = [steps[number - 1] for number in [${steps.join(', ')}]]\n`
    : `stages = pipe(${call}, return_stages=True).stages\n`;
  return (
    `${head(model, [GRID])}${drawn}` +
    'images = [image.resize((64, 64), resample=0) for stage in stages for image in stage]\n' +
    `make_image_grid(images, rows=len(stages), cols=${count}).save("stages.png")\n`
  );
}
/** A model's options in a line. @param {Entry} model */
const callOf = ({ saved, class: name }) =>
  `    ${quoted(saved)}: dict(${optionsOf(name ? { class_labels: name } : {}).replace(', ', '')}),\n`;
/** @param {Entry[]} models @param {number} seed @param {number} columns @param {number} longest */
export const sideBySideCode = (models, seed, columns, longest) =>
  `${TORCH}\n${GRID}\nfrom genmodels import load_pipeline\n\n` +
  `vectors = torch.randn(${columns}, ${longest}, generator=torch.Generator().manual_seed(${seed}))\n` +
  `options = {\n${models.map(callOf).join('')}}\n` +
  'images = []\nfor name in options:\n    pipe = load_pipeline(name)\n' +
  '    images += pipe(latents=vectors[:, : pipe.latent_dim], **options[name]).images\n' +
  'images = [image.resize((64, 64)) for image in images]\n' +
  `make_image_grid(images, rows=len(options), cols=${columns}).save("side-by-side.png")\n`;
/**
 * @param {Entry} model @param {number[][]} parents @param {number} mutation @param {number} seed @param {number} count
 * @param {Options} label
 */
export const childrenCode = (model, parents, mutation, seed, count, label) =>
  `${head(model, [TORCH, GRID])}a, b = torch.tensor([\n${parents.map(row => `    ${listed(row)},\n`).join('')}])\n` +
  `images = pipe.breed(a, b, num_images=${count}, mutation=${mutation}, seed=${seed}${optionsOf(label)}).images\n` +
  saved(rowsOf(count), Math.floor(count / rowsOf(count)), 'children');
/**
 * @param {Entry} model @param {number} seed @param {number} steps @param {number} scale @param {number} ms
 * @param {Options} label
 */
export const loopCode = (model, seed, steps, scale, ms, label) =>
  `${head(model)}a, b = pipe(num_images=2, seed=${seed}).latents\n` +
  `images = pipe.loop(a, b, steps=${steps}${optionsOf(label)}).images\n` +
  `frames = [image.resize((image.width * ${scale}, image.height * ${scale}), resample=0) for image in images]\n` +
  `frames[0].save("loop.webp", save_all=True, append_images=frames[1:], duration=${ms}, loop=0, lossless=True)\n`;
/**
 * @param {Entry} model @param {number} seed @param {number[]} strengths @param {number} count @param {Options} label
 */
export const movedCode = (model, seed, strengths, count, label) =>
  `${head(model, [TORCH, GRID])}` +
  `directions = pipe.principal_directions(${strengths.length}${optionsOf(label)}).directions\n` +
  `latents = pipe(num_images=${count}, seed=${seed}).latents\n` +
  `images = pipe(latents=latents + torch.tensor(${listed(strengths)}) @ directions${optionsOf(label)}).images\n` +
  saved(1, count, 'moved');

/** @param {Entry} model @param {number} count @param {number} seed @param {number} psi */
export const everyClassCode = (model, count, seed, psi) =>
  `${head(model, [GRID])}latent = pipe(seed=${seed}).latents\n` +
  `images = pipe(latents=latent.repeat(${count}, 1), psi=${psi}).images\n${saved(1, count, 'classes')}`;
/** @param {Entry} model @param {number} styles @param {number} count @param {number} seed @param {number} psi */
export const tableCode = (model, styles, count, seed, psi) =>
  `${head(model, [GRID])}latents = pipe(num_images=${styles}, seed=${seed}).latents.repeat_interleave(${count}, 0)\n` +
  `images = pipe(latents=latents, class_labels=pipe.class_names[:${count}] * ${styles}, psi=${psi}).images\n` +
  saved(styles, count, 'table');
/** @param {Entry} model @param {string} name @param {number} count @param {number} seed @param {number} psi */
export const oneClassCode = (model, name, count, seed, psi) =>
  `${head(model, [GRID])}` +
  `images = pipe(num_images=${count}, class_labels=${quoted(name)}, seed=${seed}, psi=${psi}).images\n` +
  saved(1, count, 'class');
/** @param {Entry} model @param {string[]} pair @param {number} seed @param {number} psi */
export const mixCode = (model, pair, seed, psi) =>
  `${head(model, [GRID])}latent = pipe(seed=${seed}).latents\n` +
  `mixed = pipe.label_path((${pair.map(quoted).join(', ')}), steps=${STRIP})\n` +
  `images = pipe(latents=latent.repeat(${STRIP}, 1), class_labels=mixed, psi=${psi}).images\n${saved(1, STRIP, 'mix')}`;
/** @param {Entry} model @param {string} text @param {number} seed @param {number} psi */
export const numberCode = (model, text, seed, psi) =>
  `${head(model, [GRID])}images = pipe(class_labels=list(${quoted(text)}), seed=${seed}, psi=${psi}).images\n` +
  saved(1, text.length, 'number');

/** @param {Entry} model @param {number[]} z */
export const spotCode = (model, z) =>
  `${head(model, [TORCH])}pipe.decode(torch.tensor([${listed(z)}])).images[0].save("picture.png")\n`;
/**
 * @param {Entry} model @param {number[]} mean @param {number[]} deviation @param {number} count @param {number} seed
 */
export const posteriorCode = (model, mean, deviation, count, seed) =>
  `${head(model, [TORCH, GRID])}mean, deviation = torch.tensor(${listed(mean)}), torch.tensor(${listed(deviation)})\n` +
  `noise = torch.randn(${count}, 2, generator=torch.Generator().manual_seed(${seed}))\n` +
  `make_image_grid(pipe.decode(mean + deviation * noise).images, rows=1, cols=${count}).save("draws.png")\n`;
/** @param {Entry} model @param {number} count @param {number} seed @param {string} prior */
export const drawnCode = (model, count, seed, prior) =>
  `${head(model, [GRID])}images = pipe(num_images=${count}, seed=${seed}, prior=${quoted(prior)}).images\n` +
  saved(1, count, 'drawn');
/** @param {Entry} model @param {number[]} a @param {number[]} b */
export const lineCode = (model, a, b) =>
  `${head(model, [TORCH, GRID])}a, b = torch.tensor(${listed(a)}), torch.tensor(${listed(b)})\n` +
  `latents = torch.lerp(a, b, torch.linspace(0, 1, ${STRIP})[:, None])\n` +
  `make_image_grid(pipe.decode(latents).images, rows=1, cols=${STRIP}).save("line.png")\n`;
/** @param {Entry} model @param {Entry} real @param {number} index */
export const reconstructCode = (model, real, index) =>
  `${head(model, [], ['zoo'])}` +
  `images = zoo.load_sample(${quoted(real.sample)}, "test").images[${index}:${index + 1}]\n` +
  'print(pipe.encode(images).mean)\npipe.reconstruct(images).images[0].save("reconstruction.png")\n';
/** @param {Entry[]} models @param {number[]} z */
export const bothCode = (models, z) =>
  `${TORCH}\n${GRID}\nfrom genmodels import ${models
    .map(model => model.class_name)
    .sort()
    .join(', ')}\n\npipes = [\n` +
  `${models.map(model => `    ${model.class_name}.from_pretrained(${quoted(model.saved)}),\n`).join('')}]\n` +
  `z = torch.tensor([${listed(z)}])\nimages = [pipe.decode(z).images[0] for pipe in pipes]\n${saved(1, 2, 'both')}`;

/** @typedef {{seed: number, index: number, square?: number[] | null}} Face */
/** @param {Entry} model @param {number} size @param {Face} face @param {string[]} extra */
function faceLines(model, size, { seed, index, square }, extra) {
  if (!square) return `${head(model, extra)}latents = pipe(num_images=${index + 1}, seed=${seed}).latents[${index}:]\n`;
  const [left, top, side] = square;
  return (
    `${head(model, [...extra, 'from PIL import Image, ImageOps'])}` +
    'photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")\n' +
    `photo = photo.crop((${left}, ${top}, ${left + side}, ${top + side})).resize((${size}, ${size}))\n` +
    'latents = pipe.encode(photo).mean\n'
  );
}
/** @param {Entry} model @param {number} size @param {Face} face @param {Record<string, number>} strengths */
export function editCode(model, size, face, strengths) {
  const given = Object.entries(strengths).map(([name, strength]) => `${quoted(name)}: ${strength}`);
  const called = given.length ? `edit(latents=latents, attribute={${given.join(', ')}})` : 'decode(latents)';
  return `${faceLines(model, size, face, [])}pipe.${called}.images[0].save("face.png")\n`;
}
/** @param {Entry} model @param {number} seed @param {number[]} which */
export const arithmeticCode = (model, seed, [a, b, c]) =>
  `${head(model)}latents = pipe(num_images=${Math.max(a, b, c) + 1}, seed=${seed}).latents\n` +
  `z = latents[${a}] - latents[${b}] + latents[${c}]\npipe.decode(z[None]).images[0].save("face.png")\n`;
/**
 * @param {Entry} model @param {number} size @param {Face} face @param {string[]} pair @param {number} steps @param
 * {number} limit
 */
export const factorsCode = (model, size, face, pair, steps, limit) =>
  `${faceLines(model, size, face, [GRID])}images = pipe.traverse(\n    attributes=(${pair.map(quoted).join(', ')}), ` +
  `latents=latents[0], steps=${steps}, limit=${limit}\n).images\n${saved(steps, steps, 'grid')}`;

/**
 * Lines that make images of a split as the model takes them.
 * @param {Entry} model @param {Entry} real @param {string} name @param {string} split @param {string} [chosen]
 */
function realLines(model, real, name, split, chosen = '') {
  let text = `sample = zoo.load_sample(${quoted(real.sample)}, "${split}")\n`;
  const resize = real.unchanged ? '' : `.resize((${real.size}, ${real.size}), Image.Resampling.BILINEAR)`;
  if (real.unchanged || !model.labelled) text += `kept = ${chosen || 'range(len(sample.images))'}\n`;
  else {
    text +=
      'kept = [i for i, label in enumerate(sample.labels) if sample.class_names[label] in pipe.class_names]\n' +
      (chosen ? `kept = [kept[i] for i in ${chosen}]\n` : '');
  }
  return `${text}${name} = [Image.fromarray(sample.images[i].squeeze())${resize} for i in kept]\n`;
}
/** @param {Entry} real @param {number} count */
const spaced = (real, count) => `np.linspace(0, ${real.test - 1}, ${Math.min(count, real.test)}).astype(int)`;
/** @param {Entry} model @param {Entry} real @returns {string[]} */
const neighborsDataset = (model, real) =>
  real.unchanged ? ['', 'space="pixels"'] : [realLines(model, real, 'train', 'train'), 'dataset=train, space="pixels"'];
/** @param {Entry} model @param {Entry | null} real @param {number} count @param {number} start @param {number} seed */
export function discriminateCode(model, real, count, start, seed) {
  const { labelled } = model;
  const rows = rowsOf(count);
  const columns = Math.floor(count / rows);
  const fake =
    `fake = pipe(num_images=${count}, seed=${seed})\n` +
    `print(pipe.discriminate(fake.images${labelled ? ', fake.class_labels' : ''}))\n`;
  if (!real || real.test < count) {
    const sheet = `make_image_grid(fake.images, rows=${rows}, cols=${columns}).save("scores.png")\n`;
    return head(model, [GRID]) + fake + sheet;
  }
  const labels = labelled ? ', [sample.class_names[sample.labels[i]] for i in kept]' : '';
  return (
    `${head(model, [PIL, GRID], ['zoo'])}${fake}` +
    realLines(model, real, 'real', 'test', `range(${start}, ${start + count})`) +
    `print(pipe.discriminate(real${labels}))\n` +
    `both = [image for i in range(0, ${count}, ${columns}) ` +
    `for image in real[i : i + ${columns}] + fake.images[i : i + ${columns}]]\n` +
    `make_image_grid(both, rows=${rows}, cols=${2 * columns}).save("scores.png")\n`
  );
}
/** @param {Entry} model @param {Entry | null} real @param {number} count @param {number} seed */
export function histogramCode(model, real, count, seed) {
  const { labelled } = model;
  const fake =
    `fake = pipe(num_images=${count}, seed=${seed})\n` +
    `of_fake = pipe.discriminate(fake.images${labelled ? ', fake.class_labels' : ''})\n` +
    'print("median score of generated images:", of_fake.median())\n';
  if (!real) return head(model) + fake;
  const labels = labelled ? ', [sample.class_names[sample.labels[i]] for i in kept]' : '';
  return (
    `${head(model, ['import numpy as np', PIL], ['zoo'])}${fake}` +
    realLines(model, real, 'real', 'test', spaced(real, count)) +
    `of_real = pipe.discriminate(real${labels})\nprint("median score of real images:", of_real.median())\n` +
    'print("pairs in which the real one scores higher:", (of_real[:, None] > of_fake).float().mean())\n'
  );
}
/**
 * @param {Entry} model @param {Entry} real @param {number} index @param {number} count @param {number | null} seed of a
 * generated image
 */
export function nearestCode(model, real, index, count, seed) {
  const [lines, given] = neighborsDataset(model, real);
  const image =
    seed === null
      ? `${realLines(model, real, 'real', 'test', `[${index}]`)}image = real[0]\n`
      : `image = pipe(num_images=${index + 1}, seed=${seed}).images[${index}]\n`;
  const uses = seed === null || Boolean(lines);
  return (
    `${head(model, uses ? [PIL, GRID] : [GRID], uses ? ['zoo'] : [])}${image}${lines}` +
    `near = pipe.neighbors(image, k=${count}, ${given})\nprint(near.distances)\n` +
    `make_image_grid([image, *near.images[0]], rows=1, cols=${count + 1}).save("nearest.png")\n`
  );
}
/**
 * @param {Entry} model @param {Entry} real @param {number} count @param {number} seed @param {number} shown @param
 * {number} nearest
 */
export function memoryCode(model, real, count, seed, shown, nearest) {
  const [lines, given] = neighborsDataset(model, real);
  return (
    `${head(model, ['import numpy as np', PIL, GRID], ['zoo'])}` +
    `${lines}images = pipe(num_images=${count}, seed=${seed}).images\n` +
    `near = pipe.neighbors(images, k=${nearest}, ${given})\n` +
    realLines(model, real, 'real', 'test', spaced(real, count)) +
    `of_real = pipe.neighbors(real, k=1, ${given}).distances\n` +
    'print("median distance:", near.distances[:, 0].median(), "generated,", of_real.median(), "test images")\n' +
    `suspects = near.distances[:, 0].argsort()[:${shown}]\n` +
    'pictures = [picture for i in suspects for picture in (images[i], *near.images[i])]\n' +
    `make_image_grid(pictures, rows=${shown}, cols=${nearest + 1}).save("by-heart.png")\n`
  );
}
