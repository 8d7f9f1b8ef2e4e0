// A table whose cells were rounded on the server.
const { columns, rows } = page.numbers;
const cell = (tag, text, below) => {
  const made = document.createElement(tag), note = document.createElement('span');
  note.className = 'note';
  note.textContent = below;
  made.append(text, ...(below ? [note] : []));
  return made;
};
const heads = document.createElement('tr');
heads.append(...[t`model`, ...columns.map(([, title]) => title)].map(title => {
  const head = cell('th', title);
  head.scope = 'col';
  return head;
}));
$('.numbers-table thead').append(heads);
for (const row of rows) {
  const line = document.createElement('tr'), head = cell('th', row.title, [row.dataset, row.measured].filter(Boolean).join(', '));
  head.scope = 'row';
  line.append(head, ...columns.map(([name]) => row.cells[name] ? cell('td', row.cells[name][0], row.cells[name][1]) : cell('td', '–')));
  $('.numbers-table tbody').append(line);
}
