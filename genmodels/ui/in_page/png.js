// Pictures as PNG files, exact to the bit, with opacity and as films, which browsers do not write by themselves.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});
/** @param {...Uint8Array} parts */
function joinBytes(...parts) {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
/** Numbers of 32 bits, the high byte first. @param {...number} values */
const words = (...values) =>
  Uint8Array.from(values.flatMap(v => [v >>> 24, (v >>> 16) & 255, (v >>> 8) & 255, v & 255]));
/** @param {string} name @param {Uint8Array} content */
function chunk(name, content) {
  const body = joinBytes(new TextEncoder().encode(name), content);
  let sum = 0xffffffff;
  for (const byte of body) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return joinBytes(words(content.length), body, words(~sum));
}
/**
 * The pixels of a picture as the file keeps them, small: each row as its difference from the one above. @param {Pixels}
 * pixels
 */
async function packed({ data, width, height, channels }) {
  const row = width * channels;
  const filtered = new Uint8Array(height * (row + 1));
  for (let y = 0; y < height; y++) {
    filtered[y * (row + 1)] = 2;
    for (let i = 0; i < row; i++)
      filtered[y * (row + 1) + 1 + i] = data[y * row + i] - (y ? data[(y - 1) * row + i] : 0);
  }
  const stream = new Blob([filtered]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
/**
 * The same as they are (RFC 1950 and 1951), at once: while a stream presses them, the worker would take the next call,
 * and a picture that is drawn would wait for it.
 * @param {Pixels} pixels
 */
function laid({ data, width, height, channels }) {
  const row = width * channels;
  const bytes = new Uint8Array(height * (row + 1));
  for (let y = 0; y < height; y++) bytes.set(data.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
  const blocks = [];
  for (let at = 0; at < bytes.length; at += 0xffff) {
    const block = bytes.subarray(at, at + 0xffff);
    const [low, high] = [block.length & 255, block.length >> 8];
    blocks.push(Uint8Array.of(Number(at + 0xffff >= bytes.length), low, high, ~low, ~high), block);
  }
  let [a, b] = [1, 0];
  for (let i = 0; i < bytes.length; i++) {
    a = (a + bytes[i]) % 65521;
    b = (b + a) % 65521;
  }
  return joinBytes(Uint8Array.of(0x78, 1), ...blocks, words(b * 0x10000 + a));
}
/** @param {Uint8Array} bytes */
export function base64(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

/**
 * @typedef {{data: Uint8Array, width: number, height: number, channels: number}} Pixels bytes row by row, 1, 3 or 4
 * channels
 */
/**
 * A picture, or a film without end of several of the same size, as a data URI.
 * @param {Pixels[]} frames @param {number} [ms] for which each frame stands
 */
export async function pngUri(frames, ms = 0) {
  const [{ width, height, channels }] = frames;
  const colours = { 1: 0, 3: 2, 4: 6 }[channels] ?? 0;
  const parts = [
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    chunk('IHDR', joinBytes(words(width, height), Uint8Array.of(8, colours, 0, 0, 0))),
  ];
  if (frames.length > 1) parts.push(chunk('acTL', words(frames.length, 0)));
  let number = 0;
  const pictures = frames.length > 1 ? await Promise.all(frames.map(packed)) : frames.map(laid);
  for (const [i, data] of pictures.entries()) {
    if (frames.length > 1) {
      const time = Uint8Array.of(ms >> 8, ms & 255, 1000 >> 8, 1000 & 255, 0, 0);
      parts.push(chunk('fcTL', joinBytes(words(number++, width, height, 0, 0), time)));
    }
    parts.push(i ? chunk('fdAT', joinBytes(words(number++), data)) : chunk('IDAT', data));
  }
  parts.push(chunk('IEND', new Uint8Array()));
  return `data:image/png;base64,${base64(joinBytes(...parts))}`;
}
