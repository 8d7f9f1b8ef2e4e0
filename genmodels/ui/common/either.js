// Who answers a tab: the page itself where it can, else its server.
import { pageBackend, runsModels } from './page_backend.js';
import { t } from './text.js';

/** @type {Map<string, Promise<Record<string, Record<string, Call>>>>} */
const backends = new Map();
/**
 * The backend of a folder, one for all tabs of a page. @param {string} root @param {string[]} names of the models that
 * are the server's, too
 */
function backendAt(root, names) {
  const begun = async () => {
    if (!runsModels()) return pageBackend.nothing;
    const response = await fetch(new URL(`${root}models/index.json`, document.baseURI));
    /** @type {import('./page_backend.js').PageModel[]} */
    const models = await response.json();
    return pageBackend({ root, models: models.filter(model => names.includes(model.folder)) });
  };
  const made = backends.get(root) ?? begun().catch(() => pageBackend.nothing);
  backends.set(root, made);
  return made;
}

/**
 * The functions of a tab's server, answered by the page as far as it can. What breaks there is told once, and the
 * server's from then on.
 * @param {string} tab @param {Record<string, Call>} server @param {{root: string, models: string[]}} here
 * @param {(message: string) => void} tell
 */
export function eitherOf(tab, server, { root, models }, tell) {
  /** @type {Set<string>} */
  const broken = new Set();
  /** What has been said: of one reason for many calls a visitor reads once. @type {Set<string>} */
  const said = new Set();
  const begun = backendAt(root, models);
  begun.then(backend => {
    if (backend === pageBackend.nothing) tell(t`This browser does not compute by itself: the server does.`);
  });
  /** @type {(name: string, payload: any, see: any) => ReturnType<Call>} */
  const ask = async (name, payload, see) => {
    const own = (await begun)[tab]?.[name];
    const about = `${name} ${payload.model ?? payload.kind ?? ''}`;
    if (!own || broken.has(about)) return server[name](payload);
    const answer = await own(payload, see);
    if (answer?.status === 'broken') {
      broken.add(about);
      const why = answer.message ?? '';
      if (!said.has(why)) tell(`${t([why])} ${t`The server does it instead.`}`);
      said.add(why);
    }
    return answer && ['ok', 'error'].includes(answer.status) ? answer : server[name](payload);
  };
  return new Proxy(server, {
    get: (_, name) =>
      Object.assign((/** @type {any} */ payload, /** @type {any} */ see) => ask(String(name), payload, see), {
        parts: true,
      }),
  });
}
