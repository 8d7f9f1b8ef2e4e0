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
  // A transposed convolution with kernel 4, stride 2 and padding 1: each pixel of x adds to 4 by 4 of y, which has a border.
  double({ weight, bias, shape: [inputs, outputs] }) {
    return x => {
      const side = Math.sqrt(x.length / inputs), wide = 2 * side + 2, y = new Float32Array(outputs * 4 * side * side), plane = new Float32Array(wide * wide);
      for (let o = 0; o < outputs; o++) {
        plane.fill(bias[o]);
        for (let i = 0; i < inputs; i++) {
          // The kernel written out: several times as fast as a loop over it.
          const w = (i * outputs + o) * 16;
          const a = weight[w], b = weight[w + 1], c = weight[w + 2], d = weight[w + 3], e = weight[w + 4], f = weight[w + 5], g = weight[w + 6], h = weight[w + 7];
          const j = weight[w + 8], k = weight[w + 9], l = weight[w + 10], m = weight[w + 11], n = weight[w + 12], p = weight[w + 13], q = weight[w + 14], r = weight[w + 15];
          for (let row = 0, at = i * side * side; row < side; row++) {
            for (let end = at + side, first = 2 * row * wide; at < end; at++, first += 2) {
              const v = x[at], second = first + wide, third = second + wide, fourth = third + wide;
              plane[first] += v * a; plane[first + 1] += v * b; plane[first + 2] += v * c; plane[first + 3] += v * d;
              plane[second] += v * e; plane[second + 1] += v * f; plane[second + 2] += v * g; plane[second + 3] += v * h;
              plane[third] += v * j; plane[third + 1] += v * k; plane[third + 2] += v * l; plane[third + 3] += v * m;
              plane[fourth] += v * n; plane[fourth + 1] += v * p; plane[fourth + 2] += v * q; plane[fourth + 3] += v * r;
            }
          }
        }
        for (let row = 0; row < 2 * side; row++) y.set(plane.subarray((row + 1) * wide + 1, (row + 1) * wide + 1 + 2 * side), (o * 2 * side + row) * 2 * side);
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
