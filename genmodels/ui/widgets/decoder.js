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
          const kernel = weight.subarray((i * outputs + o) * 16, (i * outputs + o) * 16 + 16);
          for (let row = 0; row < side; row++) {
            for (let column = 0; column < side; column++) {
              const v = x[(i * side + row) * side + column], corner = 2 * row * wide + 2 * column;
              for (let k = 0; k < 16; k++) plane[corner + (k >> 2) * wide + (k & 3)] += v * kernel[k];
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
