// The decoder of a map in plain JavaScript, a few milliseconds an image: the engine that computes all other networks is
// 3.7 MB on the wire, which is too much to wait for the first spot under the pointer.
import { bytesOf } from './pictures.js';

function halfFloats(/** @type {string} */ text) {
  const halves = new Uint16Array(bytesOf(text).buffer);
  return Float32Array.from(halves, half => {
    const [exponent, fraction] = [(half >> 10) & 31, half & 1023];
    const value = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    return half & 0x8000 ? -value : value;
  });
}
/** @typedef {{weight: Float32Array, bias: Float32Array, shape: number[]}} Layer */
/** @type {Record<string, (layer: Layer) => (x: Float32Array) => Float32Array>} */
const LAYERS = {
  dense({ weight, bias, shape: [outputs, inputs] }) {
    return x => {
      const y = new Float32Array(outputs);
      for (let o = 0; o < outputs; o++) {
        let sum = bias[o];
        for (let i = 0, w = o * inputs; i < inputs; i++) sum += weight[w + i] * x[i];
        y[o] = sum;
      }
      return y;
    };
  },
  silu: () => x => x.map(v => v / (1 + Math.exp(-v))),
  // A transposed convolution with kernel 4, stride 2 and padding 1: each pixel of x adds to 4 by 4 of y, which has a
  // border. Four weights of a line of the kernel times two pixels are eight sums, which stay in registers, in float64,
  // as JavaScript reckons: twice as fast as sum by sum. What is multiplied lies together; a pixel that lacks is 0.
  double({ weight, bias, shape: [inputs, outputs] }) {
    const w = new Float64Array(weight.length);
    for (let i = 0, from = 0; i < inputs; i++) {
      for (let line = 0; line < 4 * outputs; line++) {
        for (let k = 0; k < 4; k++) w[4 * (line * inputs + i) + k] = weight[from++];
      }
    }
    return given => {
      const area = given.length / inputs;
      const side = Math.sqrt(area);
      const wide = 2 * side + 2;
      const x = new Float64Array(2 * Math.ceil(area / 2) * inputs);
      for (let i = 0, from = 0; i < inputs; i++) {
        for (let pixel = 0; pixel < area; pixel++) x[2 * ((pixel >> 1) * inputs + i) + (pixel & 1)] = given[from++];
      }
      const y = new Float32Array(outputs * 4 * area);
      const plane = new Float64Array(wide * wide);
      /** @type {(line: number, pixel: number, v0: number, v1: number, v2: number, v3: number) => void} */
      const add = (line, pixel, v0, v1, v2, v3) => {
        if (pixel >= area) return;
        const row = Math.floor(pixel / side);
        const at = (2 * row + line) * wide + 2 * (pixel - row * side);
        plane[at] += v0;
        plane[at + 1] += v1;
        plane[at + 2] += v2;
        plane[at + 3] += v3;
      };
      for (let o = 0; o < outputs; o++) {
        plane.fill(bias[o]);
        for (let line = 0; line < 4; line++) {
          const first = 4 * (4 * o + line) * inputs;
          const end = first + 4 * inputs;
          for (let pixel = 0, q = 0; pixel < area; pixel += 2) {
            let a0 = 0;
            let a1 = 0;
            let a2 = 0;
            let a3 = 0;
            let b0 = 0;
            let b1 = 0;
            let b2 = 0;
            let b3 = 0;
            for (let p = first; p < end; p += 4, q += 2) {
              const left = x[q];
              const right = x[q + 1];
              a0 += w[p] * left;
              a1 += w[p + 1] * left;
              a2 += w[p + 2] * left;
              a3 += w[p + 3] * left;
              b0 += w[p] * right;
              b1 += w[p + 1] * right;
              b2 += w[p + 2] * right;
              b3 += w[p + 3] * right;
            }
            add(line, pixel, a0, a1, a2, a3);
            add(line, pixel + 1, b0, b1, b2, b3);
          }
        }
        for (let row = 0; row < 2 * side; row++) {
          const from = (row + 1) * wide + 1;
          y.set(plane.subarray(from, from + 2 * side), (o * 2 * side + row) * 2 * side);
        }
      }
      return y;
    };
  },
};
/**
 * From the server's `layers` to a function of a latent: the bytes of the image, row by row, a pixel's channels side by
 * side.
 * @param {{kind: string, weight?: string, bias?: string, shape?: number[]}[]} layers @param {number} size
 * @param {number} channels @returns {Decode}
 */
export function decoderInPage(layers, size, channels) {
  const steps = layers.map(({ kind, weight = '', bias = '', shape = [] }) =>
    LAYERS[kind]({ weight: halfFloats(weight), bias: halfFloats(bias), shape }),
  );
  return z => {
    const logits = steps.reduce((x, step) => step(x), /** @type {Float32Array} */ (Float32Array.from(z)));
    const side = Math.sqrt(logits.length / channels),
      first = Math.floor((side - size) / 2),
      bytes = new Uint8ClampedArray(size * size * channels);
    for (let c = 0; c < channels; c++) {
      for (let row = 0; row < size; row++) {
        for (let column = 0; column < size; column++) {
          bytes[(row * size + column) * channels + c] =
            255 / (1 + Math.exp(-logits[(c * side + row + first) * side + column + first]));
        }
      }
    }
    return bytes;
  };
}
/** Python that decodes the origin, for another latent. @param {string} code @param {number[]} z */
export const codeAt = (code, z) => code.replace('[0.00, 0.00]', `[${z.map(v => v.toFixed(2)).join(', ')}]`);
