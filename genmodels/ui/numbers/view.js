// A table of values, each above its floor.
const { columns, rows } = page.numbers;
const cell = (tag, text, below) => {
  const made = document.createElement(tag), note = document.createElement('span');
  note.className = 'note';
  note.textContent = below;
  made.append(text, ...(below ? [note] : []));
  return made;
};
const figure = v => v === null ? '' : significant(v, 3);
const heads = document.createElement('tr');
heads.append(...[t`model`, ...columns.map(([, title]) => t([title]))].map(title => {
  const head = cell('th', title);
  head.scope = 'col';
  return head;
}));
$('.numbers-table thead').append(heads);
for (const row of rows) {
  const line = document.createElement('tr'), head = cell('th', row.title, [row.dataset, row.n === null ? '' : `n = ${row.n.toLocaleString(LANGUAGE)}`].filter(Boolean).join(', '));
  head.scope = 'row';
  line.append(head, ...columns.map(([name]) => row.cells[name] ? cell('td', ...row.cells[name].map(figure)) : cell('td', '–')));
  $('.numbers-table tbody').append(line);
}
