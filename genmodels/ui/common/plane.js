// A latent plane on a square canvas: z grows to the right and upwards.
import { clamp } from './dom.js';
import { penOf } from './pictures.js';

/**
 * Where a point of the plane lies on a canvas.
 * @param {HTMLCanvasElement} stage @param {number} limit @param {Point} point @returns {[number, number]}
 */
export const toCanvas = (stage, limit, [x, y]) => [
  ((x / limit + 1) / 2) * stage.width,
  ((1 - y / limit) / 2) * stage.height,
];
/** Within the plane, and with two decimals, as the page shows it. @param {Point} z @param {number} limit */
export const within = (z, limit) => z.map(v => Math.round(clamp(v, -limit, limit) * 100) / 100 + 0);
/**
 * The point of the plane under a pointer.
 * @param {HTMLCanvasElement} stage @param {number} limit @param {PointerEvent} event
 */
export function toPlane(stage, limit, event) {
  const box = stage.getBoundingClientRect();
  const x = (((event.clientX - box.left) / box.width) * 2 - 1) * limit;
  const y = (1 - ((event.clientY - box.top) / box.height) * 2) * limit;
  return within([x, y], limit);
}
/**
 * Where an arrow key leads from a point, small steps with Shift; null for another key.
 * @param {KeyboardEvent} event @param {Point} z @param {number} limit
 */
export function byArrow(event, z, limit) {
  const step = (event.shiftKey ? 0.01 : 0.04) * limit;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
  const by = Object.entries(moves).find(([key]) => key === event.key)?.[1];
  return by ? z.map((v, i) => v + by[i]) : null;
}
/** The image that lies nearest to a point. @param {Points} points @param {Point} z */
export function nearest({ x, y, labels, class_names }, z) {
  let [best, least] = [0, Infinity];
  for (let i = 0; i < x.length; i++) {
    const d = (x[i] - z[0]) ** 2 + (y[i] - z[1]) ** 2;
    if (d < least) [best, least] = [i, d];
  }
  return { distance: Math.sqrt(least), name: class_names[labels[best]] };
}
/**
 * A picture of the whole plane, and the dots of images on it, both optional.
 * @param {HTMLCanvasElement} ground @param {HTMLCanvasElement} stage @param {{limit: number, atlas: HTMLImageElement |
 * null, points: Points | null, radius: number, shade: number, colours: string[]}} what `shade` is how opaque the
 * picture is under the dots
 */
export function paintPlane(
  ground,
  stage,
  { limit, atlas, points, radius, shade, colours },
  between = (/** @type {CanvasRenderingContext2D} */ _) => {},
) {
  const { width, height } = stage;
  Object.assign(ground, { width, height });
  const g = penOf(ground);
  g.fillStyle = '#000';
  g.fillRect(0, 0, width, height);
  if (atlas) {
    g.globalAlpha = points ? shade : 1;
    g.imageSmoothingEnabled = atlas.width > width;
    g.drawImage(atlas, 0, 0, width, height);
    g.globalAlpha = 1;
  }
  between(g);
  if (!points) return;
  g.strokeStyle = 'rgba(0, 0, 0, 0.55)';
  for (let i = 0; i < points.x.length; i++) {
    g.fillStyle = colours[points.labels[i] % colours.length];
    g.beginPath();
    g.arc(...toCanvas(stage, limit, [points.x[i], points.y[i]]), radius, 0, 7);
    g.fill();
    g.stroke();
  }
}
