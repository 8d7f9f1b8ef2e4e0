// A table of values, each above its floor.
import { make } from '../common/dom.js';
import { significant, t, whole } from '../common/text.js';

const figure = (/** @type {number | null} */ v) => (v === null ? '' : significant(v, 3));
/** @param {'td' | 'th'} tag @param {string} text */
const cell = (tag, text, below = '', properties = {}) =>
  make(tag, properties, text, ...(below ? [make('span', { className: 'note' }, below)] : []));

/** @param {Tab} tab */
export default function numbers({ $, page }) {
  const { columns, rows } = page.numbers;
  const heads = [t`model`, ...columns.map((/** @type {string[]} */ [, title]) => t([title]))].map(title =>
    cell('th', title, '', { scope: 'col' }),
  );
  $('.numbers-table thead').append(make('tr', {}, ...heads));
  for (const { cells, dataset, n, title } of rows) {
    const below = [dataset, n === null ? '' : `n = ${whole(n)}`].filter(Boolean).join(', ');
    const values = columns.map((/** @type {string[]} */ [name]) => {
      const [value, floor] = (cells[name] ?? []).map(figure);
      return value ? cell('td', value, floor) : cell('td', '', t`not measured`);
    });
    $('.numbers-table tbody').append(make('tr', {}, cell('th', title, below, { scope: 'row' }), ...values));
  }
}
