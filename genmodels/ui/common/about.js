// What the page says of a model.
import { make } from './dom.js';
import { significant, t } from './text.js';

/**
 * How a model on show was trained, by one command or each from where the one before ended, and the papers, behind its
 * name where there are several.
 * @param {HTMLElement} place @param {Sources} sources
 */
export function showSources(place, { command, papers }, name = '') {
  const commands = command.split('\n').flatMap((line, i) => [i ? ' → ' : '', make('code', { textContent: line })]);
  const links = Object.entries(papers).map(([textContent, href]) => make('a', { href, textContent }));
  place.replaceChildren(
    ...(name && (command || links.length) ? [`${name}: `] : []),
    ...(command ? [`${t`Trained by`} `, ...commands, '. '] : []),
    ...(links.length ? [`${links.length > 1 ? t`Papers` : t`Paper`}: `] : []),
    ...links.flatMap((link, i) => [i ? ', ' : '', link]),
    links.length ? '.' : '',
  );
}

/**
 * What was measured of a generator, in words.
 * @param {{quality: [number, number], diversity: [number, number], dataset: string}} figures
 */
export function measured({ quality, diversity, dataset }) {
  const [fid, recall] = [quality[0], diversity[0]].map(v => significant(v, 3));
  const [fidFloor, recallFloor] = [quality[1], diversity[1]].map(v => significant(v, 2));
  return t`FID ${fid} (floor ${fidFloor}), recall ${recall} (floor ${recallFloor}), against ${dataset}`;
}

/**
 * Those of a tab's models that cross, walk and move along directions, and the one to begin with: the tab's own if it
 * does.
 * @param {Record<string, any>} page @returns {{models: Record<string, Model>, main: string}}
 */
export function breeding({ models, main }) {
  const known = Object.fromEntries(Object.entries(models).filter(([, model]) => model.breeds));
  return { models: known, main: known[main] ? main : Object.keys(known)[0] };
}

/** @param {string} colour */
export const swatch = colour => make('i', { className: 'swatch', style: `background: ${colour}` });

/**
 * The classes that occur among `points`, each with its colour.
 * @param {HTMLElement} root @param {Points} points @param {string[]} colours
 */
export function legend(root, { class_names, labels }, colours) {
  const used = new Set(labels);
  class_names.forEach((name, i) => {
    if (used.has(i)) root.append(make('span', {}, swatch(colours[i % colours.length]), name));
  });
}
