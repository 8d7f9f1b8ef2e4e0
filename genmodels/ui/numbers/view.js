// A table of values, each above its floor.
import { make } from '../common/dom.js';
import { significant, t, whole } from '../common/text.js';

const figure = v => (v === null ? '' : significant(v, 3));
const cell = (tag, text, below = '', properties = {}) =>
  make(tag, properties, text, ...(below ? [make('span', { className: 'note' }, below)] : []));

/** @param {import('../common/tab.js').Tab} tab */
export default function numbers({ $, page }) {
  const { columns, rows } = page.numbers;
  const heads = [t`model`, ...columns.map(([, title]) => t([title]))].map(title =>
    cell('th', title, '', { scope: 'col' }),
  );
  $('.numbers-table thead').append(make('tr', {}, ...heads));
  for (const { cells, dataset, n, title } of rows) {
    const below = [dataset, n === null ? '' : `n = ${whole(n)}`].filter(Boolean).join(', ');
    const values = columns.map(([name]) => (cells[name] ? cell('td', ...cells[name].map(figure)) : cell('td', '–')));
    $('.numbers-table tbody').append(make('tr', {}, cell('th', title, below, { scope: 'row' }), ...values));
  }
}
