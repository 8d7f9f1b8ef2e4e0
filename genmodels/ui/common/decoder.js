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
  // border.
  double({ weight, bias, shape: [inputs, outputs] }) {
    // Eight inputs go into a sum at a time, in float64, as JavaScript reckons: two or three times as fast as one by
    // one.
    // Where they are not a multiple of eight, those that are lacking are 0.
    const padded = 8 * Math.ceil(inputs / 8);
    const stride = 16 * outputs;
    const w = new Float64Array(padded * stride);
    w.set(weight);
    return given => {
      const area = given.length / inputs;
      const side = Math.sqrt(area);
      const wide = 2 * side + 2;
      const x = new Float64Array(padded * area);
      x.set(given);
      const y = new Float32Array(outputs * 4 * area);
      const plane = new Float64Array(wide * wide);
      const sums = new Float64Array(area);
      for (let o = 0; o < outputs; o++) {
        plane.fill(bias[o]);
        for (let k = 0; k < 16; k++) {
          sums.fill(0);
          for (let i = 0; i < padded; i += 8) {
            const at = i * stride + o * 16 + k;
            const w0 = w[at];
            const w1 = w[at + stride];
            const w2 = w[at + 2 * stride];
            const w3 = w[at + 3 * stride];
            const w4 = w[at + 4 * stride];
            const w5 = w[at + 5 * stride];
            const w6 = w[at + 6 * stride];
            const w7 = w[at + 7 * stride];
            for (let pixel = 0, from = i * area; pixel < area; pixel++, from++) {
              sums[pixel] +=
                w0 * x[from] +
                w1 * x[from + area] +
                w2 * x[from + 2 * area] +
                w3 * x[from + 3 * area] +
                (w4 * x[from + 4 * area] + w5 * x[from + 5 * area] + w6 * x[from + 6 * area] + w7 * x[from + 7 * area]);
            }
          }
          for (let row = 0, from = 0; row < side; row++) {
            let to = (2 * row + (k >> 2)) * wide + (k & 3);
            for (let column = 0; column < side; column++, to += 2) plane[to] += sums[from++];
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
