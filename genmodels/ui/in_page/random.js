// torch's random numbers of a seed, on a CPU: a seed means the same picture here, in Python and on a card.

const [SIZE, SHIFT] = [624, 397];
/** `torch.Generator().manual_seed(seed)`: the Mersenne Twister of Matsumoto and Nishimura, 1998. */
export class Generator {
  /** @param {number} seed */
  constructor(seed) {
    this.state = new Uint32Array(SIZE);
    this.state[0] = seed;
    for (let i = 1; i < SIZE; i++) {
      const before = this.state[i - 1];
      this.state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
    this.at = SIZE;
    /** The second of a pair of normal numbers, which waits for its turn. @type {number | null} */
    this.second = null;
  }
  /** 32 random bits. */
  word() {
    const s = this.state;
    if (this.at === SIZE) {
      for (let i = 0; i < SIZE; i++) {
        const bits = (s[i] & 0x80000000) | (s[(i + 1) % SIZE] & 0x7fffffff);
        s[i] = s[(i + SHIFT) % SIZE] ^ (bits >>> 1) ^ (bits & 1 ? 0x9908b0df : 0);
      }
      this.at = 0;
    }
    let y = s[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }
  /** A float32 from [0, 1), as `torch.rand` gives it. */
  single() {
    return (this.word() & 0xffffff) / 2 ** 24;
  }
  /** A float64 from [0, 1). */
  double() {
    const high = this.word() & 0x1fffff;
    return (high * 2 ** 32 + this.word()) / 2 ** 53;
  }
  /**
   * `torch.randn(count)`: numbers from N(0, 1) by Box and Muller, of few numbers one after the other in float64, of 16
   * and more in blocks of 16.
   * @param {number} count
   */
  normals(count) {
    const values = new Float32Array(count);
    if (count < 16) return values.map(() => this.normal());
    for (let i = 0; i < count; i++) values[i] = this.single();
    for (let i = 0; i + 16 <= count; i += 16) toNormal(values.subarray(i, i + 16));
    // What a last block lacks it takes from the one before, and all of it is drawn anew.
    if (count % 16) {
      const last = values.subarray(count - 16);
      for (let i = 0; i < 16; i++) last[i] = this.single();
      toNormal(last);
    }
    return values;
  }
  /** One number from N(0, 1). */
  normal() {
    const { second } = this;
    this.second = null;
    if (second !== null) return second;
    const angle = 2 * Math.PI * this.double();
    const radius = Math.sqrt(-2 * Math.log1p(-this.double()));
    this.second = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}
/**
 * Sixteen uniform numbers to normal ones: the first eight give the radii, the others the angles. @param {Float32Array}
 * block
 */
function toNormal(block) {
  for (let i = 0; i < 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - block[i]));
    const angle = 2 * Math.PI * block[i + 8];
    block[i] = radius * Math.cos(angle);
    block[i + 8] = radius * Math.sin(angle);
  }
}

/** @typedef {Float32Array[]} Latents a row each */
/**
 * `latents.draw_latents`, row by row. @param {number} count @param {number} dim @param {number} seed @returns {Latents}
 */
export function drawLatents(count, dim, seed) {
  const generator = new Generator(seed);
  return Array.from({ length: count }, () => generator.normals(dim));
}
/**
 * `latents.interpolate_latents` along the great circle. @param {Float32Array} a @param {Float32Array} b @param {number}
 * steps
 */
export function walkLatents(a, b, steps) {
  const product = (/** @type {Float32Array} */ u, /** @type {Float32Array} */ v) =>
    u.reduce((sum, x, i) => sum + x * v[i], 0);
  const norms = Math.sqrt(product(a, a) * product(b, b));
  const angle = norms > 0 ? Math.acos(Math.min(Math.max(product(a, b) / norms, -1), 1)) : 0;
  const sine = Math.sin(angle);
  return Array.from({ length: steps }, (_, k) => {
    const t = k / (steps - 1);
    const shares = sine > 1e-4 ? [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine] : [1 - t, t];
    return a.map((v, i) => shares[0] * v + shares[1] * b[i]);
  });
}
/** `latents.circle_latents`. @param {Float32Array} a @param {Float32Array} b @param {number} steps */
export const circleLatents = (a, b, steps) =>
  Array.from({ length: steps }, (_, k) => {
    const t = (k * 2 * Math.PI) / steps;
    return a.map((v, i) => Math.cos(t) * v + Math.sin(t) * b[i]);
  });
/**
 * `latents.cross_latents`.
 * @param {number[]} a @param {number[]} b @param {number} count @param {number} mutation @param {number} seed
 */
export function crossLatents(a, b, count, mutation, seed) {
  const generator = new Generator(seed);
  const kept = Math.sqrt(1 - mutation ** 2);
  return Array.from({ length: count }, () => {
    const coins = a.map(() => generator.single() < 0.5);
    return generator.normals(a.length).map((noise, i) => kept * (coins[i] ? a[i] : b[i]) + mutation * noise);
  });
}

/** The normal distribution function. @param {number} x */
export function normalShare(x) {
  const y = Math.abs(x) / Math.SQRT2;
  let tail;
  if (y < 1.5) tail = (1 - series(y)) / 2;
  else if (y > 26) tail = 0;
  else {
    // The continued fraction of erfc, from its far end.
    let fraction = 0;
    for (let k = Math.ceil(30 + 400 / (y * y)); k > 0; k--) fraction = k / 2 / (y + fraction);
    tail = Math.exp(-y * y) / Math.sqrt(Math.PI) / (y + fraction) / 2;
  }
  return x > 0 ? 1 - tail : tail;
}
/** erf, by its power series. @param {number} y */
function series(y) {
  let [sum, term] = [y, y];
  for (let n = 1; Math.abs(term) > 1e-18; n++) {
    term *= (-y * y) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
/** Where the normal distribution function has this value. @param {number} share from 1e-15 to 1 - 1e-15 */
export function normalQuantile(share) {
  let [low, high] = [-8.5, 8.5];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
/**
 * `LatentMixture`: latents from N(0, I) to as many from the mixture, each to its own.
 * @param {Latents} latents @param {{weights: number[], means: number[][], factors: number[][][]}} law @param {number}
 * psi
 * @returns {Latents}
 */
export function toMixture(latents, { weights, means, factors }, psi) {
  return latents.map(row => {
    let [k, before] = [0, 0];
    const quantile = normalShare(row[0]);
    while (k < weights.length - 1 && before + weights[k] < quantile) before += weights[k++];
    const within = Math.min(Math.max((quantile - before) / weights[k], 1e-15), 1 - 1e-15);
    const noise = [normalQuantile(within), ...row.slice(1)];
    return Float32Array.from(means[k], (mean, i) => {
      const moved = factors[k][i].reduce((sum, factor, j) => sum + factor * noise[j], 0);
      return mean + psi * moved;
    });
  });
}
