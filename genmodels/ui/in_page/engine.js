// onnxruntime-web, from where the page comes from, and the networks that it has opened.

/** What a file or a browser does that a model needs: the page asks its server, if it has one, or says so. */
export class BrokenError extends Error {}
/** What is not done in a page, though nothing is broken: its server, if it has one, does it. */
export class ElsewhereError extends Error {}

let [root, gzipped, query, assembled] = ['', false, '', true];
/** @type {(name: string, loaded: number, total: number) => void} */
let progress = () => {};
/** @type {Map<string, Promise<any>>} */
const kept = new Map();

/**
 * @param {string} address of the folder with `engine` and `models`
 * @param {{packed: boolean, version: string, runs: boolean}} how whether JSON and WebAssembly lie there as gzip files,
 * as on a host that does not compress; what stands behind the address of each file, so that no older one of its name is
 * taken for it; whether the browser has WebAssembly
 * @param {typeof progress} tell how much of a file has come
 */
export function settle(address, { packed, version, runs }, tell) {
  [root, gzipped, query, assembled, progress] = [address, packed, version && `?${version}`, runs, tell];
}
/** @param {string} path below the root */
export const addressOf = path => root + path + query;
/**
 * The result of `make`, kept under a name unless it fails. @template T @param {string} name @param {() => Promise<T>}
 * make @returns {Promise<T>}
 */
export function once(name, make) {
  const known = kept.get(name);
  if (known) return known;
  const made = make();
  kept.set(name, made);
  made.catch(() => kept.delete(name));
  return made;
}

/** @param {string} path below the root @param {string} what a visitor reads while it comes @param {number} [total] */
export async function fetchBytes(path, what, total = 0) {
  const zipped = gzipped && /\.(json|wasm)$/.test(path);
  let response;
  try {
    response = await fetch(addressOf(`${path}${zipped ? '.gz' : ''}`));
  } catch {
    throw new BrokenError(`${what} cannot be loaded: check the network.`);
  }
  if (!response.ok || !response.body) throw new BrokenError(`${what} cannot be loaded: its file is not there.`);
  /** @type {Uint8Array[]} */
  const parts = [];
  let loaded = 0;
  try {
    // A host may know what they are, and browsers unpack them then.
    const plain = !zipped || response.headers.get('content-encoding');
    const body = plain ? response.body : response.body.pipeThrough(new DecompressionStream('gzip'));
    for (const reader = body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      loaded += value.length;
      progress(what, loaded, total);
    }
  } catch {
    throw new BrokenError(`${what} cannot be loaded: check the network.`);
  } finally {
    progress(what, 1, 1);
  }
  const bytes = new Uint8Array(loaded);
  parts.reduce((at, part) => {
    bytes.set(part, at);
    return at + part.length;
  }, 0);
  return bytes;
}
/** @param {string} path @param {string} what @returns {Promise<any>} */
export const fetchJson = (path, what) =>
  once(path, async () => {
    const text = new TextDecoder().decode(await fetchBytes(path, what));
    try {
      return JSON.parse(text);
    } catch {
      throw new BrokenError(`${what} cannot be loaded: its file is damaged.`);
    }
  });

/** How large the engine is, for who waits for it. */
const ENGINE_BYTES = 14_240_000;
const engine = () =>
  once('engine', async () => {
    if (!assembled) throw new BrokenError('This browser has no WebAssembly, which the models need.');
    try {
      const ort = await import(addressOf('engine/ort.wasm.bundle.min.mjs'));
      const wasm = await fetchBytes('engine/ort-wasm-simd-threaded.wasm', 'The engine', ENGINE_BYTES);
      // More threads need headers that plain hosts of files do not send.
      Object.assign(ort.env.wasm, { wasmBinary: wasm.buffer, numThreads: 1 });
      ort.env.logLevel = 'error';
      return ort;
    } catch (error) {
      throw error instanceof BrokenError ? error : new BrokenError('This browser does not run the engine.');
    }
  });

/** @typedef {{data: Float32Array, shape: number[]}} Tensor */
/** sha256 in hexadecimal; null on a page without https, where browsers do not compute it. @param {Uint8Array} bytes */
async function sha256(bytes) {
  const hash = await globalThis.crypto?.subtle?.digest('SHA-256', /** @type {BufferSource} */ (bytes));
  return hash ? [...new Uint8Array(hash)].map(v => v.toString(16).padStart(2, '0')).join('') : null;
}
/**
 * What a network says.
 * @param {string} path of its file @param {string} what
 * @param {{bytes: number, sha256: string}} file how long it is, and which one
 * @param {Record<string, Tensor>} inputs @returns {Promise<Record<string, Tensor>>}
 */
export async function runNetwork(path, what, file, inputs) {
  const ort = await engine();
  const foreign = new BrokenError(`${what} cannot be computed in this page: its file is of another model.`);
  const session = await once(path, async () => {
    const bytes = await fetchBytes(path, what, file.bytes);
    const found = await sha256(bytes);
    let opened;
    try {
      opened = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] });
    } catch {
      throw new BrokenError(`${what} cannot be computed in this page: its file is damaged.`);
    }
    // It might draw, and nobody would see that this is not what the page says it is.
    if (found && found !== file.sha256) throw foreign;
    return opened;
  });
  const given = Object.entries(inputs).map(([name, { data, shape }]) => [name, new ort.Tensor('float32', data, shape)]);
  let outputs;
  try {
    outputs = await session.run(Object.fromEntries(given));
  } catch {
    throw foreign;
  }
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => [name, { data: tensor.data, shape: [...tensor.dims] }]),
  );
}
