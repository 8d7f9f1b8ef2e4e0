import { t } from './text.js';

/**
 * A new element. Properties are the element's own where it has them, else attributes.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} properties
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) Object.assign(made, { [name]: value });
    else made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/**
 * A button that does something.
 * @param {Record<string, unknown>} properties @param {() => void} onClick @param {...(Node | string)} children
 */
export function makeButton(properties, onClick, ...children) {
  const button = make('button', { type: 'button', ...properties }, ...children);
  button.addEventListener('click', onClick);
  return button;
}

/**
 * A group of buttons of which one is pressed: returns what presses another.
 * @param {HTMLElement} root @param {(readonly unknown[])[]} options values and what their buttons say
 * @param {unknown} pressed @param {(value: any) => void} choose
 */
export function choices(root, options, pressed, choose) {
  const press = (/** @type {unknown} */ value) => {
    for (const [button, option] of buttons)
      button.setAttribute('aria-pressed', String(String(option) === String(value)));
  };
  const buttons = options.map(([value, text]) => {
    const act = () => {
      press(value);
      choose(value);
    };
    return /** @type {const} */ ([makeButton({ textContent: t([String(text)]) }, act), value]);
  });
  for (const [button, value] of buttons) button.dataset.value = String(value);
  root.append(...buttons.map(([button]) => button));
  press(pressed);
  return press;
}

/** Calls `fit` now and whenever the width of an element changes. @param {Element} target @param {() => void} fit */
export function onResize(target, fit) {
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(target);
}

/** Runs once a pointer that was pressed on an element is gone. @param {Element} target @param {() => void} end */
export function onRelease(target, end) {
  for (const name of ['pointerup', 'pointercancel']) target.addEventListener(name, end);
}

/** @param {number} ms */
export const pause = ms => new Promise(done => setTimeout(done, ms));
/** @param {number} v @param {number} low @param {number} high */
export const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
/** A seed that a visitor can read out. */
export const newSeed = () => Math.floor(Math.random() * 100000);
/** The lower of two in the middle, as torch has it. @param {number[]} values */
export const median = values => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
