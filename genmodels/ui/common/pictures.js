// Pictures: sheets of several, raw bytes, and how large they are shown.
import { make } from './dom.js';
import { decimal, t } from './text.js';

/** What draws on a canvas. @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2DSettings} [options] */
export const penOf = (canvas, options) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', options));

/** @param {string} uri @returns {Promise<HTMLImageElement>} */
export function loadImage(uri) {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = failed;
    image.src = uri;
  });
}

/**
 * Paints picture `index` of a sheet onto a canvas in the pictures' own size; CSS enlarges it.
 * @param {HTMLCanvasElement} canvas @param {CanvasImageSource} sheet @param {number} index @param {number} columns
 * @param {number} width of one picture @param {number} height of one picture
 */
export function paintFrame(canvas, sheet, index, columns, width, height = width) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = penOf(canvas);
  context.imageSmoothingEnabled = false;
  // What is transparent lies on white, as the networks that judge it see it.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  const [left, top] = [(index % columns) * width, Math.floor(index / columns) * height];
  context.drawImage(sheet, left, top, width, height, 0, 0, width, height);
}

/**
 * Paints bytes, grey or RGB.
 * @param {HTMLCanvasElement} canvas @param {ArrayLike<number>} bytes @param {number} size @param {number} channels
 */
export function paintBytes(canvas, bytes, size, channels) {
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const context = penOf(canvas);
  const image = context.createImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[i * channels + (channels === 3 ? c : 0)];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
/** @param {string} text base64 */
export const bytesOf = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
/**
 * `paintBytes` of base64.
 * @param {HTMLCanvasElement} canvas @param {string} data @param {number} size @param {number} channels
 */
export const paintRaw = (canvas, data, size, channels) => paintBytes(canvas, bytesOf(data), size, channels);
/** A canvas in base64, so many channels of each pixel. @param {HTMLCanvasElement} canvas @param {number} channels */
export function rawOf(canvas, channels) {
  const { data } = penOf(canvas).getImageData(0, 0, canvas.width, canvas.height);
  let bytes = '';
  for (let i = 0; i < data.length; i++) if (i % 4 < channels) bytes += String.fromCharCode(data[i]);
  return btoa(bytes);
}

/**
 * The width at which each of `natural` pixels covers a whole number of the screen's, as large as fits: pixels stay
 * square. Below twice the size that would cost too much of a small screen: there all of the width is used.
 * @param {number} natural @param {number} available @param {number} most
 */
export function wholeMultiple(natural, available, most = available) {
  const width = Math.min(available, most);
  const times = Math.floor((width * devicePixelRatio) / natural);
  return times >= 2 ? (natural * times) / devicePixelRatio : width;
}
/**
 * Shows an element that wide.
 * @param {HTMLElement} shown @param {number} natural @param {number} available @param {number} [most]
 */
export function fitWidth(shown, natural, available, most) {
  shown.style.width = `${wholeMultiple(natural, available, most)}px`;
}

/**
 * Pictures in a grid as one, each of their pixels so many pixels wide that the longest side has about 1024.
 * @param {Picture[]} pictures @param {number} columns
 */
export function enlarged(pictures, columns) {
  const sizes = pictures.map(p =>
    p instanceof HTMLImageElement ? [p.naturalWidth, p.naturalHeight] : [p.width, p.height],
  );
  const width = Math.max(...sizes.map(([w]) => w));
  const height = Math.max(...sizes.map(([, h]) => h));
  const rows = Math.ceil(pictures.length / columns);
  const times = Math.max(1, Math.floor(1024 / Math.max(columns * width, rows * height)));
  const [across, down] = [width * times, height * times];
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width: columns * across, height: rows * down });
  const context = penOf(canvas);
  context.imageSmoothingEnabled = false;
  pictures.forEach((picture, i) => {
    context.drawImage(picture, (i % columns) * across, Math.floor(i / columns) * down, across, down);
  });
  return canvas;
}

/**
 * A strip that shows every third frame of a film, and a slider that plays the film on a large canvas. A film is one
 * row.
 * @param {{strip: HTMLElement, slider: HTMLInputElement, large?: HTMLCanvasElement, onMove?: (share: number) => void}}
 * parts
 */
export function filmStrip({ strip, slider, large, onMove = _ => {} }) {
  const frames = 25;
  const perStep = 3;
  /** @type {HTMLImageElement | null} */
  let film = null;
  const cells = Array.from({ length: (frames - 1) / perStep + 1 }, (_, i) => {
    const cell = document.createElement('canvas');
    cell.className = 'cell';
    cell.addEventListener('pointerdown', () => {
      slider.value = String(i * perStep);
      move();
    });
    strip.append(cell);
    return cell;
  });
  slider.max = String(frames - 1);
  const paint = () => {
    if (film && large) paintFrame(large, film, +slider.value, frames, film.height);
  };
  const mark = () => {
    cells.forEach((cell, i) => cell.classList.toggle('now', Math.abs(+slider.value - i * perStep) < perStep / 2));
  };
  function move() {
    paint();
    mark();
    onMove(+slider.value / (frames - 1));
  }
  slider.addEventListener('input', move);
  mark();
  return {
    /** @param {string} uri */
    async set(uri) {
      const image = await loadImage(uri);
      film = image;
      cells.forEach((cell, i) => paintFrame(cell, image, i * perStep, frames, image.height));
      paint();
    },
  };
}

/**
 * A canvas with a picture of a sheet.
 * @param {CanvasImageSource} sheet @param {number} index @param {number} columns @param {number} size
 * @param {{width?: number, label?: string}} shown how wide at most, and what a screen reader says
 */
export function pictureOf(sheet, index, columns, size, { width, label } = {}) {
  const canvas = document.createElement('canvas');
  paintFrame(canvas, sheet, index, columns, size);
  if (width) fitWidth(canvas, size, width);
  if (label) {
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', label);
  }
  return canvas;
}
/**
 * A picture of a sheet with words below it.
 * @param {CanvasImageSource} sheet @param {number} index @param {number} columns @param {number} size
 * @param {{width?: number, label?: string}} shown @param {...(Node | string)} words
 */
export const captioned = (sheet, index, columns, size, shown, ...words) =>
  make('figure', {}, pictureOf(sheet, index, columns, size, shown), make('figcaption', {}, ...words));
/**
 * A training image of a sheet with its distance and further words below it.
 * @param {CanvasImageSource} sheet @param {number} index @param {number} columns @param {number} size
 * @param {number} distance @param {number} [width] how wide it is shown at most @param {...(Node | string)} more
 */
export function neighbour(sheet, index, columns, size, distance, width, ...more) {
  const words = decimal(distance, 3);
  return captioned(sheet, index, columns, size, { width, label: t`Training image, distance ${words}` }, words, ...more);
}
