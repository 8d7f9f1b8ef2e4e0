/** @param {Tab} tab */
export default function training({ onOpen, page, python, views }) {
  // Under each view stands its own program, whichever was touched last.
  for (const [name, title] of page.views) onOpen(name, () => python.focus(title));
  views(page.views);
}
