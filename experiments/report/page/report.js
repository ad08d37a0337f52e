// The page: loads its data as scripts (a page from the disk may not fetch), keeps its state in the address after #, and
// shows either the overview or a latent (latent.js).
"use strict";

// --- data ----------------------------------------------------------------------------------------------------------

const waiting = new Map();  // key -> {promise, resolve}

/** Every file in data/ calls this with its key. */
function report_data(key, value) {
  waiting.get(key).resolve(value);
}

/** The value of data/KEY.js, loaded once. */
function load(key) {
  if (!waiting.has(key)) {
    const entry = {};
    entry.promise = new Promise((resolve, reject) => {
      entry.resolve = resolve;
      const script = document.createElement("script");
      script.src = `data/${key}.js`;
      script.onerror = () => reject(new Error(`The file data/${key}.js is missing from this folder.`));
      document.head.append(script);
    });
    waiting.set(key, entry);
  }
  return waiting.get(key).promise;
}

// --- elements ------------------------------------------------------------------------------------------------------

/** An element: make("a", {href: "#/"}, "text", other, ...). Properties that are functions are event handlers. */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

/** A token as it can be seen: blanks and line ends have signs of their own. */
function visible(text) {
  return text.replace(/\n/g, "↵").replace(/\t/g, "→").replace(/ /g, "\u00b7");
}
function token_element(text) {
  return make("span", {class: "token"}, visible(text));
}
function short(value) {
  return value === 0 ? "0" : Math.abs(value) >= 0.001 && Math.abs(value) < 10000 ? String(+value.toPrecision(3)) : value.toExponential(1);
}
function percent(share) {
  return `${short(100 * share)} %`;
}
function count(value) {
  return value.toLocaleString("en");
}
function facts(list) {
  return make("div", {class: "facts"}, ...list.map(([name, value]) => make("div", {}, make("span", {class: "faint"}, name), make("span", {}, value))));
}

// --- overview ------------------------------------------------------------------------------------------------------

const rows_on_page = 50;
const columns = [
  {key: "latent", name: "latent"},
  {key: "density", name: "density", help: "share of the tokens on which it fires"},
  {key: "mean", name: "mean", help: "of its activation where it fires"},
  {key: "max", name: "maximum"},
];

function state_address(state, changes) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries({...state, ...changes})) {
    if (value !== "" && value !== null && value !== undefined) query.set(key, value);
  }
  return `#/?${query}`;
}

/** Rows of the index that the filters keep, in the order asked for. */
function chosen_rows(index, vocabulary, state) {
  let wanted = null;
  if (state.token) {
    const text = state.token.toLowerCase();
    wanted = new Set();
    vocabulary.forEach((piece, id) => { if (piece.toLowerCase().includes(text)) wanted.add(id); });
  }
  const least = parseFloat(state.least) / 100, most = parseFloat(state.most) / 100;
  const rows = [];
  for (let row = 0; row < index.latent.length; ++row) {
    if (wanted && !index.tokens[row].some(id => wanted.has(id))) continue;
    if (least >= 0 && index.density[row] < least) continue;
    if (most >= 0 && index.density[row] > most) continue;
    if (state.explained && !index.explained[row]) continue;
    rows.push(row);
  }
  const key = columns.some(column => column.key === state.sort) ? state.sort : "latent";
  const sign = state.order === "down" ? -1 : 1;
  const values = index[key];
  return rows.sort((a, b) => sign * (values[a] - values[b]) || a - b);
}

function latent_table(report, index, vocabulary, state) {
  const rows = chosen_rows(index, vocabulary, state);
  const pages = Math.max(1, Math.ceil(rows.length / rows_on_page));
  const page = Math.min(Math.max(0, parseInt(state.page, 10) || 0), pages - 1);
  const sort = state.sort || "latent";
  const head = columns.map(column => make("th", {scope: "col", title: column.help, "aria-sort": sort === column.key ? (state.order === "down" ? "descending" : "ascending") : null},
    make("button", {type: "button", click: () => {
      const first = column.key === "latent" ? "" : "down";
      const order = sort === column.key ? (state.order === "down" ? "" : "down") : first;
      location.hash = state_address(state, {sort: column.key, order, page: ""});
    }}, column.name)));
  const body = rows.slice(page * rows_on_page, (page + 1) * rows_on_page).map(row => make("tr", {},
    make("td", {}, make("a", {href: `#/${state.a}/${index.latent[row]}`}, String(index.latent[row])), index.explained[row] ? make("span", {class: "faint", title: "has an explanation"}, " ✱") : null),
    make("td", {}, percent(index.density[row])),
    make("td", {}, short(index.mean[row])),
    make("td", {}, short(index.max[row])),
    make("td", {class: "words"}, ...index.tokens[row].flatMap(id => [token_element(vocabulary[id]), " "]))));
  const step = (text, to) => make("button", {type: "button", class: "button", disabled: to < 0 || to >= pages, click: () => { location.hash = state_address(state, {page: to}); }}, text);
  return make("div", {},
    make("p", {role: "status"}, rows.length === 0 ? "No latent of this report fits." : `${count(rows.length)} of ${count(index.latent.length)} latents`, pages > 1 ? `, page ${page + 1} of ${pages}` : ""),
    make("div", {class: "scroll"}, make("table", {id: "latents"}, make("thead", {}, make("tr", {}, ...head, make("th", {scope: "col", class: "words"}, "fires on"))), make("tbody", {}, ...body))),
    pages > 1 ? make("p", {}, step("Back", page - 1), " ", step("Next", page + 1)) : null);
}

function latent_tools(report, index, state) {
  const change = changes => { location.hash = state_address(state, {...changes, page: ""}); };
  const field = (label, properties) => make("label", {}, label, make("input", properties));
  const choice = make("select", {id: "autoencoder", change: event => change({a: event.target.value})},
    ...report.autoencoders.map((one, at) => make("option", {value: at, selected: String(at) === String(state.a)}, one.name)));
  const random = index.latent[Math.floor(Math.random() * index.latent.length)];
  return make("div", {class: "tools"},
    make("label", {}, "Autoencoder", choice),
    field("Fires on a token with", {id: "token", type: "search", value: state.token, placeholder: "part of a token", change: event => change({token: event.target.value})}),
    field("Density from (%)", {type: "number", min: 0, max: 100, step: "any", value: state.least, size: 6, change: event => change({least: event.target.value})}),
    field("to (%)", {type: "number", min: 0, max: 100, step: "any", value: state.most, size: 6, change: event => change({most: event.target.value})}),
    field("Go to latent", {type: "number", min: 0, change: event => { location.hash = `#/${state.a}/${event.target.value}`; }}),
    index.latent.length > 0 ? make("a", {class: "button", href: `#/${state.a}/${random}`}, "Any latent") : null,
    index.explained.includes(1) ? make("label", {class: "check"}, make("input", {type: "checkbox", checked: Boolean(state.explained), change: event => change({explained: event.target.checked ? 1 : ""})}), "explained ones only") : null);
}

function autoencoder_table(report, state) {
  const names = [...new Set(report.autoencoders.flatMap(one => one.card.map(([name]) => name)))];
  return make("div", {class: "scroll"}, make("table", {},
    make("thead", {}, make("tr", {}, make("th", {scope: "col"}, "autoencoder"), ...names.map(name => make("th", {scope: "col"}, name)), ...["latents", "shown here", "never fired"].map(name => make("th", {scope: "col"}, name)))),
    make("tbody", {}, ...report.autoencoders.map((one, at) => make("tr", {},
      make("td", {}, make("a", {href: state_address({}, {a: at}), "aria-current": String(at) === String(state.a) ? "true" : null}, one.name)),
      ...names.map(name => make("td", {}, (one.card.find(([key]) => key === name) || [])[1] || "")),
      make("td", {}, count(one.latents)), make("td", {}, count(one.shown)), make("td", {}, count(one.dead)))))));
}

let drawn_figures = null;  // kept, so that the page does not jump while the table is filtered

function figures(report) {
  drawn_figures ||= make("div", {class: "figures"}, ...report.figures.map(figure => make("figure", {},
    make("a", {href: figure.file}, make("img", {src: figure.file, alt: figure.caption})), make("figcaption", {}, figure.caption))));
  return drawn_figures;
}

async function overview(report, query) {
  const state = {a: query.get("a") || 0, token: "", least: "", most: "", explained: "", sort: "", order: "", page: ""};
  for (const key of Object.keys(state)) if (query.has(key)) state[key] = query.get(key);
  if (!report.autoencoders[state.a]) throw new Error(`This report has no autoencoder number ${state.a}.`);
  const [index, vocabulary] = await Promise.all([load(`${state.a}/index`), load("vocabulary")]);
  document.title = `${report.title} · sparse autoencoders`;
  return [
    make("h1", {}, report.title),
    make("dl", {}, ...report.card.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    autoencoder_table(report, state),
    figures(report),
    make("h2", {id: "table"}, `Latents of ${report.autoencoders[state.a].name}`),
    latent_tools(report, index, state),
    latent_table(report, index, vocabulary, state),
  ];
}

// --- addresses -----------------------------------------------------------------------------------------------------

let shown = null;  // the path that was shown last: the focus stays where it is while a table is filtered

async function show() {
  const main = document.getElementById("main"), address = location.hash;
  const [path, query] = (location.hash.slice(1) || "/").split("?");
  const parts = path.split("/").filter(part => part !== "");
  const focused = path === shown && document.activeElement ? document.activeElement.id : null;
  let content;
  try {
    const report = await load("report");
    document.getElementById("subject").textContent = report.title;
    content = parts.length === 2 ? await latent_page(report, parts[0], parts[1]) : await overview(report, new URLSearchParams(query || ""));
  } catch (problem) {
    content = [make("h1", {}, "That cannot be shown"), make("p", {class: "problem"}, problem.message), make("p", {}, make("a", {href: "#/"}, "To the overview"))];
  }
  if (location.hash !== address) return;  // somebody went on while this was loading
  main.replaceChildren(...content.filter(child => child));
  if (path !== shown) {
    window.scrollTo(0, 0);
    if (shown !== null) main.focus();
  } else if (focused) {
    document.getElementById(focused)?.focus();
  }
  shown = path;
  main.dataset.ready = location.hash || "#/";
}

window.addEventListener("hashchange", show);
show();
