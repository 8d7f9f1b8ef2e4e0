// The page's texts in the browser's language, by the English ones; English itself where it has none.
const translations = /** @type {any} */ (window).gradio_config?.i18n_translations ?? {};
const wanted = navigator.language.slice(0, 2);
export const LANGUAGE = translations[wanted] ? wanted : 'en';
/** @type {Record<string, string>} */
const words = translations[wanted] ?? {};

/**
 * t`step ${3} of ${5}` looks for "step {0} of {1}"; a text may go on in the next line.
 * @param {Iterable<string>} parts @param {...unknown} values
 */
export function t(parts, ...values) {
  const text = [...parts].reduce((joined, part, i) => `${joined}{${i - 1}}${part}`).replace(/\n\s*/g, ' ');
  return (words[text] ?? text).replace(/\{(\d)\}/g, (_, i) => String(values[i]));
}

const known = (/** @type {string} */ text) => words[text.replace(/\s+/g, ' ').trim()];

/**
 * Translates what was written in HTML: whole elements with what is bold or linked in them, lone pieces, and attributes.
 * @param {HTMLElement} root
 */
export function translate(root) {
  for (const name of ['aria-label', 'title', 'placeholder']) {
    const text = root.getAttribute(name);
    if (text !== null) root.setAttribute(name, known(text) ?? text);
  }
  const whole = known(root.innerHTML);
  if (whole) {
    root.innerHTML = whole;
    return;
  }
  for (const child of [...root.childNodes]) {
    if (child instanceof HTMLElement) translate(child);
    else if (child instanceof Text && known(child.data)) {
      child.data = child.data.replace(child.data.trim(), () => known(child.data));
    }
  }
}

/** A number as the page's language writes it, with so many decimals. @param {number} v @param {number} digits */
export const decimal = (v, digits) =>
  v.toLocaleString(LANGUAGE, { minimumFractionDigits: digits, maximumFractionDigits: digits });
/** A number with so many digits at most. @param {number} v @param {number} digits */
export const significant = (v, digits) => v.toLocaleString(LANGUAGE, { maximumSignificantDigits: digits });
/** A whole number, its thousands apart. @param {number} v */
export const whole = v => v.toLocaleString(LANGUAGE);
/**
 * A number with its sign and two decimals.
 * @param {number} v @param {string} plus stands in front of what is not negative
 */
export const signed = (v, plus = '+') => (v < 0 ? '−' : plus) + decimal(Math.abs(v), 2);
/** @param {number} step @param {number} last */
export const stepOf = (step, last) => t`step ${whole(step)} of ${whole(last)}`;
