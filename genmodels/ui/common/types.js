// The types that the page's modules share: without an import, they are known to all.
/**
 * @typedef {{status: string, message?: string, retry?: number} & Record<string, any>} Answer of a server function
 * @typedef {((payload: object, see?: (part: Answer) => void) => Promise<Answer | undefined>) & {parts?: boolean}} Call
 * with `parts`, `see` is shown what there is of an answer that takes long
 * @typedef {(message: string, bad?: boolean, asked?: number) => void} Tell
 * @typedef {{payload: Record<string, any>, extra?: any, since: number}} Job what was asked, what `show` is handed on
 * with the answer, and since when it waits
 * @typedef {import('./tab.js').Tab} Tab what every view of a tab gets
 * @typedef {{command: string, papers: Record<string, string>}} Sources commands, a line each; addresses of papers
 * @typedef {{title: string, sources: Sources} & Record<string, any>} Model
 * @typedef {HTMLImageElement | HTMLCanvasElement} Picture
 * @typedef {[number, number] | number[]} Point of a latent plane
 * @typedef {{x: number[], y: number[], labels: number[], class_names: string[], total: number}} Points images on it
 * @typedef {(z: number[]) => Uint8ClampedArray} Decode from a latent to the bytes of its image
 */
