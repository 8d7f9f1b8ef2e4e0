import { make, makeButton } from './dom.js';
import { enlarged } from './pictures.js';
import { t } from './text.js';

/**
 * The Python under the pictures: the snippet of whatever was touched last is shown, and its picture can be saved.
 * @param {HTMLElement} element @param {string} tab
 */
export function pythonOf(element, tab) {
  /** @type {Map<string, string>} */
  const texts = new Map();
  /** @type {Map<string, {find: string | (() => Picture[]), columns?: () => number}>} */
  const found = new Map();
  /** @type {Map<string, HTMLButtonElement>} */
  const buttons = new Map();
  /** @param {string} selector */
  const $ = selector => /** @type {HTMLElement} */ (element.querySelector(selector));
  const [group, code, copy, save] = ['.code-choices', '.code code', '.copy', '.save'].map($);
  let shown = '';
  function show(/** @type {string} */ name) {
    shown = name;
    save.hidden = !found.has(name);
    code.textContent = texts.get(name) ?? '';
    for (const [other, button] of buttons) button.setAttribute('aria-pressed', String(other === name));
  }
  copy.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      copy.textContent = t`Copied`;
    } catch {
      // Without the clipboard (plain http, or not allowed) the text is at least selected.
      getSelection()?.selectAllChildren(code);
      copy.textContent = t`Selected`;
    }
    setTimeout(() => {
      copy.textContent = t`Copy`;
    }, 1500);
  });
  save.addEventListener('click', () => {
    const picture = found.get(shown);
    if (!picture) return;
    const { find, columns } = picture;
    const pictures = typeof find === 'string' ? [...element.querySelectorAll(find)] : find();
    if (!pictures.length) return;
    enlarged(/** @type {Picture[]} */ (pictures), columns?.() ?? pictures.length).toBlob(blob => {
      if (!blob) return;
      const href = URL.createObjectURL(blob);
      make('a', { href, download: `${tab}-${shown}.png`.toLowerCase().replaceAll(/[ _]/g, '-') }).click();
      setTimeout(() => URL.revokeObjectURL(href), 10_000);
    });
  });
  return {
    /**
     * What is saved for a name: canvases and images by a selector or a function, in so many columns, else in one row.
     * @param {string} name @param {string | (() => Picture[])} find @param {() => number} [columns]
     */
    picture(name, find, columns) {
      found.set(name, { find, columns });
      // It may be shown already.
      if (name === shown) save.hidden = false;
    },
    /** @param {string} name @param {string} text @param {boolean} focus whether it is shown even if another one is */
    set(name, text, focus = true) {
      if (!texts.has(name)) {
        const button = makeButton({ textContent: t([name]) }, () => show(name));
        button.dataset.value = name;
        buttons.set(name, button);
        group.append(button);
      }
      texts.set(name, text);
      if (focus || !shown || shown === name) show(name);
    },
    /** @param {string} name */
    focus(name) {
      if (texts.has(name)) show(name);
    },
    /** @param {string} name */
    drop(name) {
      if (!texts.delete(name)) return;
      buttons.get(name)?.remove();
      buttons.delete(name);
      if (shown === name) show(texts.keys().next().value ?? '');
    },
  };
}
