// Losses over the steps. The room around the plot, in pixels.
const PLOT = { left: 44, right: 8, top: 8, bottom: 22 };
// One line for each of `series`, lists of [step, value or null], in the colours of these names; `last` is the step at the right
// end, `least` how far apart the lowest and the highest value on the axis are at least, `now` where a cursor stands.
function paintCurves(canvas, { series, colours, last, least, now = null }) {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const c = canvas.getContext('2d'), style = getComputedStyle(element), right = width - PLOT.right, base = height - PLOT.bottom;
  c.scale(devicePixelRatio, devicePixelRatio);
  const values = series.flat().map(([, v]) => v).filter(v => v !== null).sort((a, b) => a - b);
  // A few wild steps do not flatten the rest.
  const at = share => values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? 0;
  const low = Math.min(0, at(0.01)), high = Math.max(at(0.99), low + least);
  const x = step => PLOT.left + step / last * (right - PLOT.left), y = v => PLOT.top + (high - clamp(v, low, high)) / (high - low) * (base - PLOT.top);
  c.font = `12px ${style.fontFamily}`;
  c.fillStyle = style.getPropertyValue('--quiet');
  c.strokeStyle = style.getPropertyValue('--line');
  for (const v of [low, (low + high) / 2, high]) {
    c.beginPath(); c.moveTo(PLOT.left, y(v)); c.lineTo(right, y(v)); c.stroke();
    c.textAlign = 'right'; c.textBaseline = 'middle';
    c.fillText(significant(v, 2), PLOT.left - 6, y(v));
  }
  c.textBaseline = 'bottom';
  c.textAlign = 'left'; c.fillText('0', PLOT.left, height - 2);
  c.textAlign = 'right'; c.fillText(t`step ${last.toLocaleString(LANGUAGE)}`, right, height - 2);
  series.forEach((points, n) => {
    c.strokeStyle = style.getPropertyValue(colours[n % colours.length]);
    c.lineWidth = 1.4;
    c.beginPath();
    points.filter(([, v]) => v !== null).forEach(([step, v], i) => c[i ? 'lineTo' : 'moveTo'](x(step), y(v)));
    c.stroke();
  });
  if (now === null) return;
  c.strokeStyle = style.getPropertyValue('--ink');
  c.lineWidth = 1.5;
  c.beginPath(); c.moveTo(x(now), PLOT.top); c.lineTo(x(now), base); c.stroke();
}
