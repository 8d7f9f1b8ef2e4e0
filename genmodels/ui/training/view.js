// Under each view stands its own program, whichever was touched last.
for (const [name, title] of page.views) {
  const before = opened[name];
  opened[name] = () => { before?.(); python.focus(title); };
}
views(page.views);
