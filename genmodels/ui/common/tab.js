// What every view of a tab gets: its element, its page, the server, its address, its Python, and the controls that all
// write alike.
import { answerOf, latestOf, WARMING } from './calls.js';
import { choices, make, newSeed } from './dom.js';
import { eitherOf } from './either.js';
import { linkOf } from './link.js';
import { pageBackend, runsModels } from './page_backend.js';
import { pythonOf } from './python.js';
import { decimal, LANGUAGE, t, translate } from './text.js';

/** @typedef {ReturnType<typeof createTab>} Tab */

/**
 * @param {HTMLElement} element @param {Record<string, any>} page what `widget` in Python was given
 * @param {Record<string, Call>} server
 */
function createTab(element, page, server) {
  translate(element);
  element.lang = LANGUAGE;
  const link = linkOf(element, page.tab);
  /**
   * Any of the tab's own elements; which one it is, its HTML says.
   * @param {string} selector @param {ParentNode} root @returns {any}
   */
  const $ = (selector, root = element) => root.querySelector(selector);
  /** @param {...string} selectors */
  const find = (...selectors) => selectors.map(selector => $(selector));
  /** @param {string} selector @param {ParentNode} root @returns {any[]} */
  const $$ = (selector, root = element) => [...root.querySelectorAll(selector)];

  /**
   * What writes messages into a place. What failed stays there until something that was asked for later is answered:
   * of several calls at once another one may be done after it.
   * @param {HTMLElement} place @returns {Tell}
   */
  const noticeIn = place => {
    let failed = 0;
    return (message, bad = false, asked = Infinity) => {
      if (!message && asked < failed) return;
      failed = bad ? performance.now() : 0;
      const text = t([message]);
      if (place.textContent !== text) place.textContent = text;
      place.hidden = !text;
      place.classList.toggle('bad', bad);
    };
  };
  const notice = noticeIn($('.notice'));

  /**
   * See `latestOf`; what hinders and what fails is told above the tab, if nothing else is said.
   * @param {Call} call @param {(answer: Answer, job: Job) => unknown} show
   * @param {Tell} fail @param {Tell} tell
   */
  const latest = (call, show, fail = notice, tell = notice) =>
    latestOf(call ?? nobody, show, { fail, tell, alive: () => element.isConnected });
  /** @type {Call} */
  const nobody = async () => ({ status: 'error', message: t`This page has no server, which that needs.` });
  const silent = () => {};
  /**
   * Says nothing of what hinders or fails.
   * @param {Call} call @param {(answer: Answer, job: Job) => unknown} show
   */
  const quietly = (call, show) => latest(call, show, silent, silent);
  /**
   * Asks with the first call alone, quietly. Every call says whether the page itself is about to answer, for which it
   * pays to wait.
   * @param {Call} call @param {(answer: Answer, job: Job) => unknown} show @param {() => void} [none] if there is no
   * answer
   */
  const once = (call, show, none = () => {}) => {
    let [asked, coming] = [false, Boolean(call?.parts)];
    const come = () => {
      coming = false;
    };
    const shown = (/** @type {Answer} */ answer, /** @type {Job} */ job) => {
      come();
      return show(answer, job);
    };
    const failed = () => {
      come();
      none();
    };
    const ask = latest(call, shown, failed, silent);
    return () => {
      if (!asked) ask({});
      asked = true;
      return coming;
    };
  };

  /**
   * The menus of models and of a model's classes, the seed's field, the button for a new one and the sliders of
   * truncation and guidance, as far as a view has them: they write into `state`, and then `draw` draws.
   * @param {string} prefix of their class names
   * @param {{model?: string, seed: number, class?: string} & Record<string, any>} state @param {() => void} draw @param
   * {{models?: Record<string, Model>, changed?: () => void, seedName?: string}} options the models on offer; what is to
   * be done when another one is chosen, before it draws; the seed's name in an address
   */
  function controls(prefix, state, draw, { models = {}, changed = () => {}, seedName = 'seed' } = {}) {
    const [model, seed, fresh, label] = ['model', 'seed', 'new', 'class'].map(name => $(`.${prefix}${name}`));
    const sliders = ['psi', 'guidance'].flatMap(name => {
      const slider = $(`.${prefix}${name}`);
      return slider ? [{ name, slider, most: page[`max_${name}`] }] : [];
    });
    // Without a class the classes are drawn in turn, which is no choice where all shall be of one.
    const showClasses = () => {
      if (!label) return;
      const { classes, class: first } = models[state.model ?? ''];
      const turn = label.dataset.turn ? [new Option(t`all in turn`, '')] : [];
      label.replaceChildren(...turn, ...classes.map((/** @type {string} */ name) => new Option(name, name)));
      label.closest('label').hidden = !classes.length;
      label.value = first;
      state.class = label.value;
    };
    const choose = (/** @type {string} */ name) => {
      state.model = model.value = name;
      showClasses();
      changed();
    };
    const write = () => {
      if (seed) seed.value = state.seed;
      if (label) label.value = state.class;
      for (const { name, slider } of sliders) {
        slider.value = state[name];
        $(`.${prefix}${name}-value`).textContent = decimal(state[name] ?? 1, 2);
      }
    };
    showClasses();
    label?.addEventListener('change', () => {
      state.class = label.value;
      draw();
    });
    if (model) {
      for (const [name, { title }] of Object.entries(models)) model.append(new Option(title, name));
      model.value = state.model;
      model.closest('label').hidden = model.options.length < 2;
      model.addEventListener('change', () => {
        choose(model.value);
        draw();
      });
    }
    fresh.addEventListener('click', () => {
      state.seed = newSeed();
      write();
      draw();
    });
    if (seed) seed.max = page.max_seed;
    seed?.addEventListener('input', () => {
      if (!seed.checkValidity() || seed.value === '') return;
      state.seed = +seed.value;
      draw();
    });
    for (const { name, slider, most } of sliders) {
      slider.max = most;
      slider.addEventListener('input', () => {
        state[name] = +slider.value;
        write();
        draw();
      });
    }
    write();
    return {
      /** Shows what is in `state`. */
      write,
      /** Takes from an address what the controls know. @param {ReturnType<typeof link.view>} address */
      restore(address) {
        const name = model && address.option('model', Object.keys(models));
        if (name !== null) choose(name);
        state.seed = address.count(seedName, page.max_seed) ?? state.seed;
        const offered = [...(label?.options ?? [])].map(option => option.value);
        if (label) state.class = address.option('class', offered) ?? state.class;
        for (const { name, most } of sliders) state[name] = address.number(name, 0, most) ?? state[name];
        write();
      },
    };
  }

  /** @type {Map<string, (() => void)[]>} */
  const openings = new Map();
  /** Runs whenever a view of the tab is chosen. @param {string} name @param {() => void} run */
  const onOpen = (name, run) => openings.set(name, [...(openings.get(name) ?? []), run]);
  /** Runs when a view of the tab is chosen for the first time. @param {string} name @param {() => void} run */
  function onFirstOpen(name, run) {
    let done = false;
    onOpen(name, () => {
      if (!done) run();
      done = true;
    });
  }
  /**
   * Buttons for the tab's views, of which one is shown: elements with the names of their views in data-view.
   * @param {string[][]} options their names and what the buttons say
   */
  function views(options) {
    const show = (/** @type {string} */ name) => {
      for (const part of $$('[data-view]')) part.classList.toggle('away', !part.dataset.view.split(' ').includes(name));
    };
    const open = (/** @type {string} */ name) => {
      for (const run of openings.get(name) ?? []) run();
    };
    const go = (/** @type {string} */ name) => {
      press(name);
      link.show(name);
      show(name);
      open(name);
    };
    const first = link.views(
      options.map(([name]) => name),
      go,
    );
    const press = choices($('.views'), options, first, go);
    show(first);
    if (first !== options[0][0]) open(first);
  }

  /**
   * Starts the tab: from the prepared first page if there is one, else from the server once the networks are loaded.
   * @param {(first: any) => unknown} show
   */
  function begin(show) {
    const broken = (/** @type {string} */ message) => {
      notice(message, true);
      for (const part of $$('.live')) part.hidden = true;
    };
    const begun = async (/** @type {any} */ first) => {
      await show(first);
      link.apply();
    };
    if (page.reason) broken(page.reason);
    else if (page.first) begun(page.first);
    else {
      notice(WARMING);
      latest(server.start, begun, broken)({});
    }
  }

  return {
    element,
    page,
    server,
    $,
    $$,
    find,
    link,
    python: pythonOf(element, page.tab),
    notice,
    noticeIn,
    latest,
    quietly,
    once,
    controls,
    onOpen,
    onFirstOpen,
    views,
    begin,
    /** What the tab's other views have returned. @type {Record<string, any>} */
    parts: {},
  };
}

/** @typedef {{html: string, css: string, page: Record<string, any>, views: string[]}} Content of a tab */

class GoneError extends Error {}
/** What a tab is made of, from its file. @param {string | URL} address @returns {Promise<Content>} */
export async function readTab(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new GoneError(`${address}: ${answer.status}`);
  return answer.json();
}

/**
 * Puts a tab together when it is opened: its HTML, then each of its views' modules, its own last. While it comes, and
 * if it does not, a line says so.
 * @param {HTMLElement} element @param {() => Content | Promise<Content>} read what it is made of
 * @param {Record<string, Call> | Promise<Record<string, Call>>} server
 */
export async function openTab(element, read, server) {
  const says = make('p', { className: 'note coming', role: 'status' }, t`Loading this tab.`);
  element.replaceChildren(says);
  const call = async () => {
    try {
      const content = await read();
      const modules = await Promise.all(content.views.map(name => import(`../${name}/view.js`)));
      return { status: 'ok', content, modules };
    } catch (error) {
      // What else fails is the network, which comes back.
      if (!(error instanceof GoneError)) throw error;
      const message = t`This tab cannot be loaded: reload the page, which may have changed, or look for the network.`;
      return { status: 'error', message };
    }
  };
  const tell = (/** @type {string} */ message) => {
    says.textContent = message;
  };
  const came = await answerOf(call, {}, () => element.isConnected, tell);
  if (came?.status === 'error') tell(came.message ?? '');
  else if (came) start(element, came.content, came.modules, await server);
}

/**
 * @param {HTMLElement} element @param {Content} content @param {{default: (tab: Tab) => any}[]} modules of its views
 * @param {Record<string, Call>} server
 */
function start(element, { html, css, page, views }, modules, server) {
  element.innerHTML = html;
  element.append(make('style', {}, `#${page.tab.replaceAll('_', '-')}-tab {${css}}`));
  const tell = (/** @type {string} */ message) => {
    element.prepend(make('p', { className: 'note', role: 'status' }, message));
  };
  if (Object.values(pageBackend.nothing).includes(server)) {
    tell(t`This browser cannot compute here, and this page has no server: what was drawn ahead is shown.`);
  } else if (Object.values(server).some(call => call.parts) && !runsModels()) {
    tell(
      t`This browser has no WebAssembly, with which models draw, and this page has no server: what was drawn ahead is
        shown.`,
    );
  }
  const tab = createTab(element, page, page.here ? eitherOf(page.tab, server, page.here, tell) : server);
  modules.forEach(({ default: view }, i) => {
    tab.parts[views[i]] = view(tab);
  });
}
