// A decoder in the page itself: no server is asked while the pointer moves.
function halfFloats(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0)), halves = new Uint16Array(bytes.buffer);
  return Float32Array.from(halves, half => {
    const exponent = half >> 10 & 31, fraction = half & 1023;
    const value = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    return half & 0x8000 ? -value : value;
  });
}
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
  // A transposed convolution with kernel 4, stride 2 and padding 1: a pixel of x and its eight neighbours make 2 by 2 pixels of y.
  double({ weight, bias, shape: [inputs, outputs] }) {
    // All that is summed lies side by side, in numbers that need no conversion; the sum is written out for two pixels at once:
    // several times as fast as a loop over the kernel.
    const kernels = new Float64Array(weight.length);
    for (let i = 0; i < inputs; i++) for (let o = 0; o < outputs; o++) for (let k = 0; k < 16; k++) kernels[(o * inputs + i) * 16 + k] = weight[(i * outputs + o) * 16 + k];
    return x => {
      const side = Math.sqrt(x.length / inputs), wide = side + 2 + side % 2, down = wide * inputs, y = new Float32Array(outputs * 4 * side * side);
      // With a border of zeros.
      const padded = new Float64Array((side + 2) * down);
      for (let i = 0, at = 0; i < inputs; i++) for (let row = 1; row <= side; row++) for (let column = 1; column <= side; column++) padded[(row * wide + column) * inputs + i] = x[at++];
      for (let o = 0; o < outputs; o++) {
        for (let row = 0; row < side; row++) {
          for (let column = 0; column < side; column += 2) {
            let upper0 = bias[o], upper1 = upper0, upper2 = upper0, upper3 = upper0, lower0 = upper0, lower1 = upper0, lower2 = upper0, lower3 = upper0;
            for (let i = 0, a = (row * wide + column) * inputs, w = o * inputs * 16; i < inputs; i++, a++, w += 16) {
              const b = a + down, c = b + down;
              const a0 = padded[a], a1 = padded[a + inputs], a2 = padded[a + 2 * inputs], a3 = padded[a + 3 * inputs];
              const b0 = padded[b], b1 = padded[b + inputs], b2 = padded[b + 2 * inputs], b3 = padded[b + 3 * inputs];
              const c0 = padded[c], c1 = padded[c + inputs], c2 = padded[c + 2 * inputs], c3 = padded[c + 3 * inputs];
              const k0 = kernels[w], k1 = kernels[w + 1], k2 = kernels[w + 2], k3 = kernels[w + 3];
              lower0 += k1 * c1 + k3 * c0; lower1 += k2 * c1 + k0 * c2; lower2 += k1 * c2 + k3 * c1; lower3 += k2 * c2 + k0 * c3;
              const k4 = kernels[w + 4], k5 = kernels[w + 5], k6 = kernels[w + 6], k7 = kernels[w + 7];
              upper0 += k5 * b1 + k7 * b0; upper1 += k6 * b1 + k4 * b2; upper2 += k5 * b2 + k7 * b1; upper3 += k6 * b2 + k4 * b3;
              const k8 = kernels[w + 8], k9 = kernels[w + 9], k10 = kernels[w + 10], k11 = kernels[w + 11];
              lower0 += k9 * b1 + k11 * b0; lower1 += k10 * b1 + k8 * b2; lower2 += k9 * b2 + k11 * b1; lower3 += k10 * b2 + k8 * b3;
              const k12 = kernels[w + 12], k13 = kernels[w + 13], k14 = kernels[w + 14], k15 = kernels[w + 15];
              upper0 += k13 * a1 + k15 * a0; upper1 += k14 * a1 + k12 * a2; upper2 += k13 * a2 + k15 * a1; upper3 += k14 * a2 + k12 * a3;
            }
            const upper = (o * 2 * side + 2 * row) * 2 * side + 2 * column, lower = upper + 2 * side;
            y[upper] = upper0; y[upper + 1] = upper1; y[lower] = lower0; y[lower + 1] = lower1;
            if (column + 1 === side) break;
            y[upper + 2] = upper2; y[upper + 3] = upper3; y[lower + 2] = lower2; y[lower + 3] = lower3;
          }
        }
      }
      return y;
    };
  },
};
// From the server's `layers` to a function of a latent: the bytes of the image, row by row, a pixel's channels side by side.
function decoderInPage(layers, size, channels) {
  const steps = layers.map(({ kind, ...layer }) => {
    for (const name of ['weight', 'bias']) if (layer[name]) layer[name] = halfFloats(layer[name]);
    return LAYERS[kind](layer);
  });
  return z => {
    const logits = steps.reduce((x, step) => step(x), Float32Array.from(z));
    const side = Math.sqrt(logits.length / channels), first = Math.floor((side - size) / 2), bytes = new Uint8ClampedArray(size * size * channels);
    for (let c = 0; c < channels; c++) {
      for (let row = 0; row < size; row++) {
        for (let column = 0; column < size; column++) {
          bytes[(row * size + column) * channels + c] = 255 / (1 + Math.exp(-logits[(c * side + row + first) * side + column + first]));
        }
      }
    }
    return bytes;
  };
}
// Python that decodes the origin, for another latent.
const codeAt = (code, z) => code.replace('[0.00, 0.00]', `[${z.map(v => v.toFixed(2)).join(', ')}]`);
