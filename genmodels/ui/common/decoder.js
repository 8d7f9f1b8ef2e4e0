// A decoder in the page itself: no server is asked while the pointer moves.
import { bytesOf } from './pictures.js';

function halfFloats(/** @type {string} */ text) {
  const halves = new Uint16Array(bytesOf(text).buffer);
  return Float32Array.from(halves, half => {
    const [exponent, fraction] = [(half >> 10) & 31, half & 1023];
    const value = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    return half & 0x8000 ? -value : value;
  });
}
// What most of the time goes into, as WebAssembly: C = A B of float32 in row-major order, A being (rows, inner), and
// the rows of B and C `stride` bytes long, a multiple of 64. Sixteen numbers of a row of C are summed up at once, in
// four vectors of four.
/** @type {WebAssembly.Module | null} */
export const MULTIPLY = (() => {
  const [A, B, C, rows, inner, stride, at, fromA, fromB, left, factor, sums] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
  const get = (/** @type {number} */ i) => [0x20, i];
  const set = (/** @type {number} */ i) => [0x21, i];
  const number = (/** @type {number} */ v) => [0x41, (v & 0x7f) | 0x80, v >> 7];
  const [add, less, four] = [[0x6a], [0x48], [0, 1, 2, 3]];
  const plus = (/** @type {number} */ i, /** @type {number[]} */ more) => [...get(i), ...more, ...add, ...set(i)];
  const minusOne = (/** @type {number} */ i) => [...get(i), ...number(1), 0x6b, 0x22, i];
  // The code repeats as long as it leaves something other than 0.
  const repeat = (/** @type {number[]} */ code) => [0x03, 0x40, ...code, 0x0d, 0, 0x0b];
  // biome-ignore format: an instruction and its operands stay together.
  const body = [
    // One int32 after another, then vectors.
    2, 4, 0x7f, 5, 0x7b,
    ...repeat([
      ...number(0), ...set(at),
      ...repeat([
        ...four.flatMap(j => [...number(0), 0xfd, 0x11, ...set(sums + j)]),
        ...get(A), ...set(fromA), ...get(B), ...get(at), ...add, ...set(fromB), ...get(inner), ...set(left),
        ...repeat([
          ...get(fromA), 0xfd, 9, 2, 0, ...set(factor),
          ...four.flatMap(j => [
            ...get(sums + j), ...get(factor), ...get(fromB), 0xfd, 0, 4, 16 * j, 0xfd, 0xe6, 1, 0xfd, 0xe4, 1,
            ...set(sums + j),
          ]),
          ...plus(fromA, number(4)), ...plus(fromB, get(stride)), ...minusOne(left),
        ]),
        ...four.flatMap(j => [...get(C), ...get(at), ...add, ...get(sums + j), 0xfd, 0x0b, 4, 16 * j]),
        ...plus(at, number(64)), ...get(at), ...get(stride), ...less,
      ]),
      ...get(fromA), ...set(A), ...plus(C, get(stride)), ...minusOne(rows),
    ]),
    0x0b,
  ];
  const long = (/** @type {number} */ n) => (n < 128 ? [n] : [(n & 0x7f) | 0x80, n >> 7]);
  const name = (/** @type {string} */ text) => [text.length, ...new TextEncoder().encode(text)];
  const section = (/** @type {number} */ id, /** @type {number[]} */ content) => [
    id,
    ...long(content.length),
    ...content,
  ];
  // biome-ignore format: as they are counted.
  const bytes = [
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 6, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
    ...section(2, [1, ...name('in'), ...name('memory'), 2, 0, 0]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name('multiply'), 0, 0]),
    ...section(10, [1, ...long(body.length), ...body]),
  ];
  // Older browsers have no vectors, and strict ones no WebAssembly at all: there the server decodes.
  return globalThis.WebAssembly?.validate(Uint8Array.from(bytes))
    ? new WebAssembly.Module(Uint8Array.from(bytes))
    : null;
})();
/**
 * From A (rows, inner) and the length of a row of B to a function of B.
 * @param {Float32Array} matrix @param {number} rows @param {number} inner @param {number} length
 */
function multiplier(matrix, rows, inner, length) {
  const stride = 64 * Math.ceil(length / 16);
  const sizes = [4 * rows * inner, inner * stride, rows * stride];
  // Vectors begin at multiples of their size.
  const starts = [0, 16 * Math.ceil(sizes[0] / 16)];
  starts.push(starts[1] + sizes[1]);
  const memory = new WebAssembly.Memory({ initial: Math.ceil((starts[2] + sizes[2]) / 65536) });
  const module = /** @type {WebAssembly.Module} */ (MULTIPLY);
  const { multiply } = /** @type {any} */ (new WebAssembly.Instance(module, { in: { memory } }).exports);
  new Float32Array(memory.buffer).set(matrix);
  const input = new Float32Array(memory.buffer, starts[1], sizes[1] / 4);
  const output = new Float32Array(memory.buffer, starts[2], sizes[2] / 4);
  return (/** @type {Float32Array} */ x) => {
    for (let row = 0; row < inner; row++) input.set(x.subarray(row * length, (row + 1) * length), (row * stride) / 4);
    multiply(...starts, rows, inner, stride);
    return { output, wide: stride / 4 };
  };
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
    const matrix = new Float32Array(weight.length);
    for (let i = 0; i < inputs; i++)
      for (let row = 0; row < 16 * outputs; row++) matrix[row * inputs + i] = weight[i * 16 * outputs + row];
    /** @type {ReturnType<typeof multiplier> | null} */
    let run = null;
    return x => {
      const side = Math.sqrt(x.length / inputs);
      const wide = 2 * side + 2;
      const y = new Float32Array(outputs * 4 * side * side);
      const plane = new Float32Array(wide * wide);
      run ??= multiplier(matrix, 16 * outputs, inputs, side * side);
      const parts = run(x);
      for (let o = 0; o < outputs; o++) {
        plane.fill(bias[o]);
        for (let k = 0; k < 16; k++) {
          for (let row = 0, from = (16 * o + k) * parts.wide; row < side; row++) {
            let to = (2 * row + (k >> 2)) * wide + (k & 3);
            for (let column = 0; column < side; column++, to += 2) plane[to] += parts.output[from++];
          }
        }
        for (let row = 0; row < 2 * side; row++)
          y.set(plane.subarray((row + 1) * wide + 1, (row + 1) * wide + 1 + 2 * side), (o * 2 * side + row) * 2 * side);
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
