// GANs of points in the plane, trained in the page, by the laws of `genmodels.live` in Python, with gradients by hand.
// It runs as a worker, which the page asks for turns.
/** See `Settings` in Python. @typedef {Record<string, any>} Settings */
/** Of equal Gaussians, see `Mixture` in Python. @typedef {{centers: number[][], std: number, limit: number}} Mixture */
/** @typedef {Float64Array} Numbers */

// A batch is smaller than Python's usual one, so that some hundred steps fit into a second.
const [HIDDEN, LATENTS, BATCH, SLOPE] = [64, 2, 32, 0.2];
const [GAMMA, SLOPE_PENALTY, WEIGHT_CLIP, LABEL_SMOOTHING] = [0.1, 1, 0.1, 0.1];
// What is on show of a GAN, and from which seed; scores that differ by less look alike in the heat map.
const [POINTS, SIDE, SHOWN_SEED, SCORES, NEAR] = [500, 48, 0, 0.2, 3];

/** Repeatable random numbers: xoshiro128**, https://prng.di.unimi.it. @param {number} seed */
export function randomOf(seed) {
  let state = seed >>> 0;
  const words = Int32Array.from({ length: 4 }, () => {
    // splitmix32 fills the state.
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return z ^ (z >>> 16);
  });
  const turn = (/** @type {number} */ v, /** @type {number} */ by) => (v << by) | (v >>> (32 - by));
  /** From U(0, 1). */
  const uniform = () => {
    const out = Math.imul(turn(Math.imul(words[1], 5), 7), 9) >>> 0;
    const shifted = words[1] << 9;
    words[2] ^= words[0];
    words[3] ^= words[1];
    words[1] ^= words[2];
    words[0] ^= words[3];
    words[2] ^= shifted;
    words[3] = turn(words[3], 11);
    return (out + 0.5) / 2 ** 32;
  };
  return {
    uniform,
    /** Of N(0, 1). @param {number} count */
    normals(count) {
      const drawn = new Float64Array(count + (count % 2));
      for (let i = 0; i < drawn.length; i += 2) {
        const [radius, angle] = [Math.sqrt(-2 * Math.log(uniform())), 2 * Math.PI * uniform()];
        drawn[i] = radius * Math.cos(angle);
        drawn[i + 1] = radius * Math.sin(angle);
      }
      return drawn.subarray(0, count);
    },
  };
}
/** @typedef {ReturnType<typeof randomOf>} Random */

/** So many points of a mixture, (N, 2). @param {Mixture} mixture @param {number} count @param {Random} random */
export function pointsOf({ centers, std }, count, random) {
  const points = random.normals(2 * count);
  for (let i = 0; i < count; i++) {
    const center = centers[Math.floor(random.uniform() * centers.length)];
    for (let axis = 0; axis < 2; axis++) points[2 * i + axis] = center[axis] + std * points[2 * i + axis];
  }
  return points;
}
/**
 * Points in thousandths of the limit, far ones at three times the limit.
 * @param {Numbers} points @param {number} limit
 */
export const thousandths = (points, limit) =>
  Array.from(points, v => Math.round(1000 * Math.min(Math.max(v / limit || 0, -3), 3)));

// Four rows of A and all of B, as the loops below read them. Arrays and masks that never change let browsers leave out
// all checks of bounds, which doubles the speed.
const [ROWS, OTHERS] = [new Float64Array(4 * HIDDEN), new Float64Array(HIDDEN * HIDDEN)];
const [IN_ROWS, IN_OTHERS] = [4 * HIDDEN - 1, HIDDEN * HIDDEN - 1];
/**
 * C (m, n) = A (m, k) B^T, B being (n, k), n and k at most HIDDEN, all in row-major order: what most of the time goes
 * into. Four rows by four are summed up at once, so that every number is read once for four products.
 * @param {Numbers} a @param {Numbers} b @param {number} m @param {number} n @param {number} k @param {Numbers} c
 */
function multiply(a, b, m, n, k, c) {
  const rows = m - (m % 4);
  const columns = n - (n % 4);
  for (let j = 0; j < columns; j++) {
    const start = (j - (j % 4)) * k + (j % 4);
    for (let l = 0; l < k; l++) OTHERS[start + 4 * l] = b[j * k + l];
  }
  for (let i = 0; columns && i < rows; i += 4) {
    for (let r = 0; r < 4; r++) for (let l = 0; l < k; l++) ROWS[4 * l + r] = a[(i + r) * k + l];
    for (let j = 0; j < columns; j += 4) {
      let s00 = 0;
      let s01 = 0;
      let s02 = 0;
      let s03 = 0;
      let s10 = 0;
      let s11 = 0;
      let s12 = 0;
      let s13 = 0;
      let s20 = 0;
      let s21 = 0;
      let s22 = 0;
      let s23 = 0;
      let s30 = 0;
      let s31 = 0;
      let s32 = 0;
      let s33 = 0;
      const q = j * k;
      for (let l = 0; l < 4 * k; l += 4) {
        const y0 = OTHERS[(q + l) & IN_OTHERS];
        const y1 = OTHERS[(q + l + 1) & IN_OTHERS];
        const y2 = OTHERS[(q + l + 2) & IN_OTHERS];
        const y3 = OTHERS[(q + l + 3) & IN_OTHERS];
        let x = ROWS[l & IN_ROWS];
        s00 += x * y0;
        s01 += x * y1;
        s02 += x * y2;
        s03 += x * y3;
        x = ROWS[(l + 1) & IN_ROWS];
        s10 += x * y0;
        s11 += x * y1;
        s12 += x * y2;
        s13 += x * y3;
        x = ROWS[(l + 2) & IN_ROWS];
        s20 += x * y0;
        s21 += x * y1;
        s22 += x * y2;
        s23 += x * y3;
        x = ROWS[(l + 3) & IN_ROWS];
        s30 += x * y0;
        s31 += x * y1;
        s32 += x * y2;
        s33 += x * y3;
      }
      let at = i * n + j;
      c[at] = s00;
      c[at + 1] = s01;
      c[at + 2] = s02;
      c[at + 3] = s03;
      at += n;
      c[at] = s10;
      c[at + 1] = s11;
      c[at + 2] = s12;
      c[at + 3] = s13;
      at += n;
      c[at] = s20;
      c[at + 1] = s21;
      c[at + 2] = s22;
      c[at + 3] = s23;
      at += n;
      c[at] = s30;
      c[at + 1] = s31;
      c[at + 2] = s32;
      c[at + 3] = s33;
    }
  }
  for (let i = 0; i < m; i++) {
    for (let j = i < rows ? columns : 0; j < n; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum += a[i * k + l] * b[j * k + l];
      c[i * n + j] = sum;
    }
  }
}
/** (m, n) to (n, m). @param {Numbers} a @param {number} m @param {number} n @param {Numbers} turned */
function transpose(a, m, n, turned) {
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) turned[j * m + i] = a[i * n + j];
  return turned;
}
/** @param {Numbers} a @param {Numbers} b @param {number} n */
function dot(a, b, n = b.length) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}
/** v / |v|, in place. @param {Numbers} v */
const normalize = v => {
  const norm = Math.max(Math.sqrt(dot(v, v)), 1e-12);
  for (let i = 0; i < v.length; i++) v[i] /= norm;
};
const sigmoid = (/** @type {number} */ v) => 1 / (1 + Math.exp(-v));
const softplus = (/** @type {number} */ v) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
/** @param {Numbers} values @param {(v: number, i: number) => number} of */
const meanOf = (values, of) => values.reduce((sum, v, i) => sum + of(v, i), 0) / values.length;

/** A dense layer; weights are (rows, columns), as in torch. */
class Dense {
  /** @param {number} columns @param {number} rows @param {Random} random */
  constructor(columns, rows, random) {
    const bound = 1 / Math.sqrt(columns);
    const drawn = () => (2 * random.uniform() - 1) * bound;
    this.rows = rows;
    this.weight = Float64Array.from({ length: rows * columns }, drawn);
    this.bias = Float64Array.from({ length: rows }, drawn);
    this.gradients = { weight: new Float64Array(rows * columns), bias: new Float64Array(rows) };
    // What spectral norm knows of the weights: their first singular vectors.
    this.u = random.normals(rows);
    this.v = random.normals(columns);
    normalize(this.u);
    normalize(this.v);
    this.known = false;
  }

  /** One step of the power iteration. @param {number} columns */
  iterate(columns) {
    const { rows, weight } = this;
    const v = this.v.subarray(0, columns);
    for (let i = 0; i < rows; i++) this.u[i] = dot(weight.subarray(i * columns, (i + 1) * columns), v);
    normalize(this.u);
    v.fill(0);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) v[j] += weight[i * columns + j] * this.u[i];
    normalize(v);
  }

  /** The weights over their largest singular value. @param {number} columns @param {boolean} training */
  normalized(columns, training) {
    if (!this.known) for (let i = 0; i < 15; i++) this.iterate(columns);
    this.known = true;
    if (training) this.iterate(columns);
    const [u, v] = [this.u.slice(), this.v.slice(0, columns)];
    let sigma = 0;
    for (let i = 0; i < u.length; i++) sigma += u[i] * dot(this.weight.subarray(i * columns, (i + 1) * columns), v);
    return { weight: this.weight.map(w => w / sigma), u, v, sigma };
  }
}

/** Two hidden layers and a third one: (N, 2) to (N, outputs). With `judges` the last one sees one column more. */
class Network {
  /** @param {number} outputs @param {Random} random @param {boolean} judges */
  constructor(outputs, random, judges = false) {
    const columns = HIDDEN + (judges ? 1 : 0);
    this.layers = [
      new Dense(2, HIDDEN, random),
      new Dense(HIDDEN, HIDDEN, random),
      new Dense(columns, outputs, random),
    ];
    // Only a discriminator has them, and each can be switched at any step.
    this.minibatch_stddev = false;
    this.spectral_norm = false;
    this.outputs = outputs;
    /** @type {Map<string, Numbers>} */
    this.buffers = new Map();
    this.parameters = this.layers.flatMap(layer => [
      { value: layer.weight, gradient: layer.gradients.weight },
      { value: layer.bias, gradient: layer.gradients.bias },
    ]);
    this.moments = this.parameters.map(({ value }) => [new Float64Array(value.length), new Float64Array(value.length)]);
    // Products of all betas until now.
    this.decay = [1, 1];
  }

  /** Memory that is used again in each step. @param {string} name @param {number} length */
  buffer(name, length) {
    const key = `${name} ${length}`;
    const kept = this.buffers.get(key) ?? new Float64Array(length);
    this.buffers.set(key, kept);
    return kept;
  }

  /** Columns of the last layer that there are at the moment. */
  get seen() {
    return HIDDEN + (this.minibatch_stddev ? 1 : 0);
  }

  /**
   * What a batch leaves in each layer, for `backward`.
   * @param {Numbers} x (N, 2) @param {string} name of the pass, each of which has its own memory
   * @param {boolean} training
   */
  forward(x, name, training = true) {
    const count = x.length / 2;
    const columns = [2, HIDDEN, this.seen];
    const weights = this.layers.map((layer, i) =>
      this.spectral_norm
        ? layer.normalized(columns[i], training)
        : { weight: layer.weight, u: null, v: null, sigma: 1 },
    );
    /** @param {Numbers} from @param {number} i */
    const hidden = (from, i) => {
      const to = this.buffer(`${name} hidden ${i}`, count * HIDDEN);
      multiply(from, weights[i].weight, count, HIDDEN, i ? HIDDEN : 2, to);
      const { bias } = this.layers[i];
      for (let n = 0; n < to.length; n += HIDDEN) {
        for (let f = 0; f < HIDDEN; f++) {
          const v = to[n + f] + bias[f];
          to[n + f] = v > 0 ? v : SLOPE * v;
        }
      }
      return to;
    };
    const first = hidden(x, 0);
    const second = hidden(first, 1);
    const out = this.buffer(`${name} out`, count * this.outputs);
    multiply(second, weights[2].weight, count, this.outputs, HIDDEN, out);
    const { bias } = this.layers[2];
    const spread = this.minibatch_stddev ? spreadOf(second, this.buffer(`${name} spread`, second.length)) : null;
    const more = spread ? weights[2].weight[HIDDEN] * spread.mean : 0;
    for (let i = 0; i < out.length; i++) out[i] += bias[i % this.outputs] + more;
    return { name, x, count, first, second, out, weights, spread };
  }

  /** What all scores depend on each point by: (N, 2), and what is found on the way. @param {Pass} pass */
  slopes({ name, count, first, second, weights, spread }) {
    const last = weights[2].weight;
    const s2 = this.buffer(`${name} s2`, count * HIDDEN);
    for (let i = 0; i < s2.length; i++) {
      const v = last[i % HIDDEN] + (spread ? (last[HIDDEN] / HIDDEN) * spread.standard[i] : 0);
      s2[i] = second[i] > 0 ? v : SLOPE * v;
    }
    const s1 = this.buffer(`${name} s1`, count * HIDDEN);
    multiply(s2, this.turned(weights[1].weight, HIDDEN, HIDDEN), count, HIDDEN, HIDDEN, s1);
    for (let i = 0; i < s1.length; i++) if (first[i] <= 0) s1[i] *= SLOPE;
    const slopes = this.buffer(`${name} slopes`, 2 * count);
    multiply(s1, this.turned(weights[0].weight, HIDDEN, 2), count, 2, HIDDEN, slopes);
    return { slopes, s1, s2 };
  }

  /** @param {Numbers} matrix @param {number} rows @param {number} columns */
  turned(matrix, rows, columns) {
    return transpose(matrix, rows, columns, this.buffer(`turned ${rows}`, rows * columns));
  }

  /**
   * A^T B, A being (count, rows) and B (count, columns): what a weight's gradient is.
   * @param {Numbers} a @param {number} rows @param {Numbers} b @param {number} columns @param {number} count
   */
  product(a, rows, b, columns, count) {
    const turned = transpose(a, count, rows, this.buffer('of a', count * rows));
    const other = transpose(b, count, columns, this.buffer('of b', count * columns));
    const found = this.buffer(`product ${columns}`, rows * columns);
    multiply(turned, other, rows, columns, count, found);
    return found;
  }

  /**
   * Adds to the gradients of the weights what a pass contributes, and returns that of its points.
   * @param {Pass} pass @param {Numbers} slopes of the loss by each output, (N, outputs)
   * @param {Numbers | null} penalty of a penalty by each of the slopes that `slopes` finds, (N, 2)
   * @param {boolean} learns whether anything but the points' gradient is asked for
   */
  backward(pass, slopes, penalty = null, learns = true) {
    const { x, count, first, second, weights, spread } = pass;
    const { outputs } = this;
    const last = weights[2].weight;
    const size = count * HIDDEN;
    const gradients = weights.map(({ weight }) => new Float64Array(weight.length));
    /** @param {number} i @param {Numbers} more */
    const add = (i, more) => {
      for (let j = 0; j < more.length; j++) gradients[i][j] += more[j];
    };
    /** @param {number} i @param {Numbers} given (N, rows) */
    const addBias = (i, given) => {
      const { bias } = this.layers[i].gradients;
      for (let n = 0; n < given.length; n += bias.length) {
        for (let f = 0; f < bias.length; f++) bias[f] += given[n + f];
      }
    };
    // The last layer.
    if (learns) {
      add(2, this.product(slopes, outputs, second, HIDDEN, count));
      addBias(2, slopes);
    }
    const back = this.buffer('back 2', size);
    multiply(slopes, this.turned(last.subarray(0, outputs * HIDDEN), outputs, HIDDEN), count, HIDDEN, outputs, back);
    if (spread) {
      const sum = slopes.reduce((total, v) => total + v, 0);
      gradients[2][HIDDEN] += sum * spread.mean;
      const share = (sum * last[HIDDEN]) / (HIDDEN * count);
      for (let i = 0; i < size; i++) back[i] += share * spread.standard[i];
    }
    if (penalty) {
      const { s1, s2 } = this.slopes(pass);
      add(0, this.product(s1, HIDDEN, penalty, 2, count));
      const along = this.buffer('along 1', size);
      multiply(penalty, weights[0].weight, count, HIDDEN, 2, along);
      for (let i = 0; i < size; i++) if (first[i] <= 0) along[i] *= SLOPE;
      add(1, this.product(s2, HIDDEN, along, HIDDEN, count));
      const further = this.buffer('along 2', size);
      multiply(along, weights[1].weight, count, HIDDEN, HIDDEN, further);
      for (let i = 0; i < size; i++) {
        if (second[i] <= 0) further[i] *= SLOPE;
        gradients[2][i % HIDDEN] += further[i];
      }
      if (spread) {
        gradients[2][HIDDEN] += dot(further, spread.standard) / HIDDEN;
        spread.backward(further, last[HIDDEN] / HIDDEN, back);
      }
    }
    // The hidden layers.
    for (let i = 0; i < size; i++) if (second[i] <= 0) back[i] *= SLOPE;
    if (learns) {
      add(1, this.product(back, HIDDEN, first, HIDDEN, count));
      addBias(1, back);
    }
    const back1 = this.buffer('back 1', size);
    multiply(back, this.turned(weights[1].weight, HIDDEN, HIDDEN), count, HIDDEN, HIDDEN, back1);
    for (let i = 0; i < size; i++) if (first[i] <= 0) back1[i] *= SLOPE;
    if (!learns) {
      const back0 = this.buffer('back 0', 2 * count);
      multiply(back1, this.turned(weights[0].weight, HIDDEN, 2), count, 2, HIDDEN, back0);
      return back0;
    }
    add(0, this.product(back1, HIDDEN, x, 2, count));
    addBias(0, back1);
    gradients.forEach((found, i) => {
      const { weight } = this.layers[i].gradients;
      const { u, v, sigma, weight: used } = weights[i];
      // W / sigma, where sigma = u^T W v follows the weights, too.
      const along = u ? dot(found, used) : 0;
      for (let j = 0; j < weight.length; j++) {
        const more = u && v && j < u.length * v.length ? along * u[Math.floor(j / v.length)] * v[j % v.length] : 0;
        weight[j] += (found[j] - more) / sigma;
      }
    });
    return x;
  }

  forget() {
    for (const { gradient } of this.parameters) gradient.fill(0);
  }

  /** Adam: https://arxiv.org/abs/1412.6980, algorithm 1. @param {number} rate @param {number[]} betas */
  update(rate, [beta1, beta2]) {
    this.decay = [this.decay[0] * beta1, this.decay[1] * beta2];
    const [first, second] = this.decay.map(decay => 1 - decay);
    this.parameters.forEach(({ value, gradient }, i) => {
      const [mean, square] = this.moments[i];
      for (let j = 0; j < value.length; j++) {
        mean[j] += (1 - beta1) * (gradient[j] - mean[j]);
        square[j] = beta2 * square[j] + (1 - beta2) * gradient[j] * gradient[j];
        value[j] -= ((rate / first) * mean[j]) / (Math.sqrt(square[j] / second) + 1e-8);
      }
    });
  }
}
/** @typedef {ReturnType<Network['forward']>} Pass */

/**
 * How much features (N, HIDDEN) differ over a batch, one number for all: `MinibatchStdDev` in Python.
 * @param {Numbers} features @param {Numbers} standard takes (h - mean) / deviation
 */
function spreadOf(features, standard) {
  const count = features.length / HIDDEN;
  const [means, deviations] = [new Float64Array(HIDDEN), new Float64Array(HIDDEN)];
  for (let i = 0; i < features.length; i++) means[i % HIDDEN] += features[i] / count;
  for (let i = 0; i < features.length; i++) deviations[i % HIDDEN] += (features[i] - means[i % HIDDEN]) ** 2 / count;
  for (let f = 0; f < HIDDEN; f++) deviations[f] = Math.sqrt(deviations[f] + 1e-8);
  for (let i = 0; i < features.length; i++) standard[i] = (features[i] - means[i % HIDDEN]) / deviations[i % HIDDEN];
  return {
    mean: meanOf(deviations, v => v),
    standard,
    /** Adds to `sum` what a gradient by `standard`, times a factor, is by the features. */
    backward(/** @type {Numbers} */ given, /** @type {number} */ factor, /** @type {Numbers} */ sum) {
      const [average, along] = [new Float64Array(HIDDEN), new Float64Array(HIDDEN)];
      for (let i = 0; i < given.length; i++) {
        average[i % HIDDEN] += given[i] / count;
        along[i % HIDDEN] += (given[i] * standard[i]) / count;
      }
      for (let i = 0; i < given.length; i++) {
        const f = i % HIDDEN;
        sum[i] += (factor * (given[i] - average[f] - standard[i] * along[f])) / deviations[f];
      }
    },
  };
}

/** What both play for, see `losses.ADVERSARIAL` in Python: losses, and their slopes by each score. */
const OBJECTIVES = {
  /** @param {Settings} settings @param {Numbers} real @param {Numbers} fake */
  discriminator({ loss, label_smoothing }, real, fake) {
    if (loss === 'wasserstein') {
      const value = meanOf(fake, v => v) - meanOf(real, v => v);
      return { value, real: real.map(() => -1 / real.length), fake: fake.map(() => 1 / fake.length) };
    }
    if (loss === 'relativistic') {
      const slopes = fake.map((v, i) => sigmoid(v - real[i]) / fake.length);
      return { value: meanOf(fake, (v, i) => softplus(v - real[i])), real: slopes.map(v => -v), fake: slopes };
    }
    const target = label_smoothing ? 1 - LABEL_SMOOTHING : 1;
    return {
      value: meanOf(real, v => softplus(v) - target * v) + meanOf(fake, softplus),
      real: real.map(v => (sigmoid(v) - target) / real.length),
      fake: fake.map(v => sigmoid(v) / fake.length),
    };
  },
  /** @param {Settings} settings @param {Numbers} fake @param {Numbers} real */
  generator({ loss }, fake, real) {
    const n = fake.length;
    if (loss === 'wasserstein') return { value: -meanOf(fake, v => v), slopes: fake.map(() => -1 / n) };
    if (loss === 'minimax') return { value: -meanOf(fake, softplus), slopes: fake.map(v => -sigmoid(v) / n) };
    if (loss === 'relativistic') {
      const value = meanOf(fake, (v, i) => softplus(real[i] - v));
      return { value, slopes: fake.map((v, i) => -sigmoid(real[i] - v) / n) };
    }
    return { value: meanOf(fake, v => softplus(-v)), slopes: fake.map(v => -sigmoid(-v) / n) };
  },
};
const isLabelled = (/** @type {Settings} */ { loss }) => loss === 'nonsaturating' || loss === 'minimax';

/** See `LiveGAN` in Python. Settings and mixture may change between two steps. */
export class PointGAN {
  /** @param {Settings} settings @param {Mixture} mixture */
  constructor(settings, mixture) {
    this.settings = settings;
    this.mixture = mixture;
    this.random = randomOf(settings.seed);
    this.generator = new Network(2, this.random);
    this.discriminator = new Network(1, this.random, true);
    this.step = 0;
  }

  /** @param {number} count */
  real(count) {
    return pointsOf(this.mixture, count, this.random);
  }

  prepare() {
    const { minibatch_stddev, spectral_norm } = this.settings;
    const { discriminator } = this;
    // Singular vectors are those of the weights that there are.
    if (discriminator.minibatch_stddev !== minibatch_stddev) discriminator.layers[2].known = false;
    Object.assign(discriminator, { minibatch_stddev, spectral_norm });
    this.generator.forget();
    discriminator.forget();
  }

  /**
   * One update of the discriminator: returns its loss.
   * @param {Numbers} real (N, 2) @param {Numbers} latents (N, 2)
   * @param {Numbers} shares (N,) of the real point in each between, where the slope is penalised
   */
  trainDiscriminator(real, latents, shares) {
    this.prepare();
    const { discriminator: judge, settings } = this;
    const count = real.length / 2;
    const fake = this.generator.forward(latents, 'drawn').out;
    const passes = [judge.forward(real, 'real'), judge.forward(fake, 'fake')];
    const { value, ...slopes } = OBJECTIVES.discriminator(settings, passes[0].out, passes[1].out);
    let loss = value;
    const wasserstein = settings.loss === 'wasserstein';
    /** @type {(Numbers | null)[]} */
    let penalties = [null, null];
    if (settings.gradient_penalty && !wasserstein) {
      penalties = passes.map(pass => {
        const found = judge.slopes(pass).slopes;
        loss += (GAMMA * 0.5 * dot(found, found)) / count;
        return found.map(v => (GAMMA * v) / count);
      });
    }
    if (settings.gradient_penalty && wasserstein) {
      const between = judge.forward(
        real.map((v, i) => fake[i] + shares[i >> 1] * (v - fake[i])),
        'between',
      );
      const found = judge.slopes(between).slopes;
      const penalty = new Float64Array(found.length);
      for (let i = 0; i < found.length; i += 2) {
        const norm = Math.sqrt(found[i] ** 2 + found[i + 1] ** 2 + 1e-12);
        loss += (SLOPE_PENALTY * (norm - 1) ** 2) / count;
        const factor = (SLOPE_PENALTY * 2 * (norm - 1)) / (norm * count);
        penalty.set([factor * found[i], factor * found[i + 1]], i);
      }
      judge.backward(between, new Float64Array(count), penalty);
    }
    judge.backward(passes[0], slopes.real, penalties[0]);
    judge.backward(passes[1], slopes.fake, penalties[1]);
    this.update(judge, settings.discriminator_rate);
    if (wasserstein && !settings.gradient_penalty && !settings.spectral_norm) {
      for (const { value: weights } of judge.parameters) {
        for (let i = 0; i < weights.length; i++) weights[i] = Math.min(Math.max(weights[i], -WEIGHT_CLIP), WEIGHT_CLIP);
      }
    }
    return loss;
  }

  /**
   * One update of the generator: returns its loss.
   * @param {Numbers} latents (N, 2) @param {Numbers} real (N, 2), which only the relativistic loss looks at
   */
  trainGenerator(latents, real) {
    this.prepare();
    const { discriminator: judge, generator, settings } = this;
    const drawn = generator.forward(latents, 'drawn');
    const seen = judge.forward(drawn.out, 'fake');
    const scores = settings.loss === 'relativistic' ? judge.forward(real, 'real').out : seen.out;
    const { value, slopes } = OBJECTIVES.generator(settings, seen.out, scores);
    generator.backward(drawn, judge.backward(seen, slopes, null, false));
    this.update(generator, settings.generator_rate);
    return value;
  }

  /** @param {Network} network @param {number} rate */
  update(network, rate) {
    network.update(rate, isLabelled(this.settings) ? [0.5, 0.999] : [0, 0.99]);
  }

  /** One step: returns both losses. */
  train() {
    const { random, settings } = this;
    const latents = () => random.normals(LATENTS * BATCH);
    let loss = 0;
    for (let i = 0; i < settings.discriminator_steps; i++) {
      const shares = Float64Array.from({ length: BATCH }, random.uniform);
      loss = this.trainDiscriminator(this.real(BATCH), latents(), shares);
    }
    this.step += 1;
    return [loss, this.trainGenerator(latents(), this.real(BATCH))];
  }

  /** Points from the same latents at every step. @param {number} count */
  sample(count) {
    return this.generator.forward(randomOf(SHOWN_SEED).normals(LATENTS * count), 'shown', false).out;
  }

  /** How many modes are drawn, and the share of points near one: see `Mixture.coverage`. @param {Numbers} points */
  coverage(points) {
    const { centers, std } = this.mixture;
    const reached = new Set();
    let near = 0;
    for (let i = 0; i < points.length; i += 2) {
      let [nearest, least] = [-1, (NEAR * std) ** 2];
      centers.forEach(([x, y], c) => {
        const distance = (points[i] - x) ** 2 + (points[i + 1] - y) ** 2;
        if (distance <= least) [nearest, least] = [c, distance];
      });
      if (nearest < 0) continue;
      reached.add(nearest);
      near += 1;
    }
    return { modes: reached.size, share: near / (points.length / 2) };
  }

  /** The discriminator's scores on the plane, see `scores_on_plane`: 128 for what divides real from fake. */
  heat() {
    const { limit } = this.mixture;
    const at = (/** @type {number} */ i) => ((i + 0.5) / SIDE) * 2 * limit - limit;
    // Images go downwards.
    const plane = Float64Array.from({ length: 2 * SIDE * SIDE }, (_, i) =>
      i % 2 ? -at(Math.floor(i / 2 / SIDE)) : at((i >> 1) % SIDE),
    );
    const scores = this.discriminator.forward(plane, 'plane', false).out;
    // Scores of losses without labels mean something only beside each other: there their median is in the middle.
    const middle = isLabelled(this.settings) ? 0 : scores.slice().sort()[(scores.length - 1) >> 1];
    const scale = Math.max(SCORES, ...scores.map(v => Math.abs(v - middle)));
    return Uint8Array.from(scores, v => ((v - middle) / scale) * 127 + 128);
  }
}

/** @type {PointGAN} */
let gan;
/**
 * Starts a GAN or goes on with one: what there is to see of it.
 * @param {{fresh: boolean, settings: Settings, mixture: Mixture, steps: number, seconds: number, heat: boolean}}
 * request the steps to be made, none of which is begun after so many seconds, and whether the plane is looked at
 */
function answer({ fresh, settings, mixture, steps, seconds, heat }) {
  if (fresh) gan = new PointGAN(settings, mixture);
  Object.assign(gan, { settings, mixture });
  const end = performance.now() + 1000 * seconds;
  const losses = [];
  for (let i = 0; i < steps && performance.now() < end; i++) {
    const both = gan.train();
    losses.push([gan.step, ...both.map(v => (Number.isFinite(v) ? v : null))]);
  }
  const drawn = gan.sample(POINTS);
  return {
    step: gan.step,
    losses,
    points: thousandths(drawn, mixture.limit),
    ...gan.coverage(drawn),
    ...(heat ? { heat: gan.heat() } : {}),
  };
}
if (typeof document === 'undefined') {
  globalThis.onmessage = ({ data }) => globalThis.postMessage(answer(data));
}
