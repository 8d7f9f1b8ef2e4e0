import { clamp } from './dom.js';
import { penOf } from './pictures.js';
import { significant, t, whole } from './text.js';

/** The room around a plot of losses, in pixels. */
export const ROOM = { left: 44, right: 8, top: 8, bottom: 22 };

/**
 * A canvas made as fine as the screen, and what draws on it in the page's pixels; null while it is not shown.
 * @param {HTMLCanvasElement} canvas
 */
export function plotOn(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width) return null;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const c = penOf(canvas);
  c.scale(devicePixelRatio, devicePixelRatio);
  const style = getComputedStyle(canvas);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(name);
  /** @param {string} text @param {number} x @param {number} y @param {CanvasTextAlign} align */
  const write = (text, x, y, align = 'left') => {
    c.textAlign = align;
    c.fillText(text, x, y);
  };
  /** @param {...[number, number]} points */
  const line = (...points) => {
    c.beginPath();
    for (const point of points) c.lineTo(...point);
    c.stroke();
  };
  return { c, width, height, font: style.fontFamily, colour, write, line };
}

/**
 * Shares of values in so many bins of one width.
 * @param {number[]} values @param {number} low @param {number} span @param {number} count
 */
export function binned(values, low, span, count) {
  const bins = Array(count).fill(0);
  for (const v of values) bins[Math.min(count - 1, Math.floor(((v - low) / span) * count))] += 1 / values.length;
  return bins;
}

/**
 * Losses over the steps of a training.
 * @param {HTMLCanvasElement} canvas @param {{series: number[][][], colours: string[], last: number, least: number,
 * now?: number | null}} what `series` are lists of step and value, in the colours of these names; `last`is the step at
 * the right end, `least` how far apart the lowest and the highest value on the axis are at least, `now` where a cursor
 * stands
 */
export function paintCurves(canvas, { series, colours, last, least, now = null }) {
  const plot = plotOn(canvas);
  if (!plot) return;
  const { c, width, height, font, colour, write, line } = plot;
  const [right, base] = [width - ROOM.right, height - ROOM.bottom];
  const values = series.flatMap(points => points.map(([, v]) => v).filter(v => v !== null)).sort((a, b) => a - b);
  // A few wild steps do not flatten the rest.
  /** @param {number} share */
  const at = share => values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? 0;
  const low = Math.min(0, at(0.01));
  const high = Math.max(at(0.99), low + least);
  const x = (/** @type {number} */ step) => ROOM.left + (step / last) * (right - ROOM.left);
  const y = (/** @type {number} */ v) => ROOM.top + ((high - clamp(v, low, high)) / (high - low)) * (base - ROOM.top);
  c.font = `12px ${font}`;
  c.fillStyle = colour('--quiet');
  c.strokeStyle = colour('--line');
  c.textBaseline = 'middle';
  for (const v of [low, (low + high) / 2, high]) {
    line([ROOM.left, y(v)], [right, y(v)]);
    write(significant(v, 2), ROOM.left - 6, y(v), 'right');
  }
  c.textBaseline = 'bottom';
  write('0', ROOM.left, height - 2);
  write(t`step ${whole(last)}`, right, height - 2, 'right');
  c.lineWidth = 1.4;
  series.forEach((points, n) => {
    c.strokeStyle = colour(colours[n % colours.length]);
    line(...points.flatMap(([step, v]) => (v === null ? [] : [/** @type {[number, number]} */ ([x(step), y(v)])])));
  });
  if (now === null) return;
  c.strokeStyle = colour('--ink');
  c.lineWidth = 1.5;
  line([x(now), ROOM.top], [x(now), base]);
}
