// One latent: how it fires, on which texts, what it does by itself, and its explanation.
"use strict";

const bins_high = 120;

/** An SVG element. */
function draw(name, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Counts of activations from 0 to the maximum, on a logarithmic scale. */
function histogram(counts, maximum) {
  const wide = 9, width = wide * counts.length, most = Math.max(...counts, 1);
  const height = n => n === 0 ? 0 : bins_high * (0.06 + 0.94 * Math.log(n) / Math.log(Math.max(most, 2)));
  const chart = draw("svg", {class: "chart", viewBox: `0 0 ${width + 50} ${bins_high + 34}`, width: width + 50, role: "img",
    "aria-label": `Histogram of the activations above 0, up to ${short(maximum)}; the fullest of ${counts.length} bins holds ${most}`});
  counts.forEach((n, bin) => {
    const bar = draw("rect", {class: "bar", x: 40 + bin * wide, y: 10 + bins_high - height(n), width: wide - 1, height: height(n)});
    bar.append(draw("title", {}, `${short(maximum * bin / counts.length)} to ${short(maximum * (bin + 1) / counts.length)}: ${n}`));
    chart.append(bar);
  });
  const label = (x, y, anchor, text) => { const t = draw("text", {class: "quiet", x, y, "text-anchor": anchor}); t.textContent = text; chart.append(t); };
  chart.append(draw("line", {class: "axis", x1: 40, x2: 40 + width, y1: 10 + bins_high, y2: 10 + bins_high}));
  label(34, 20, "end", count(most));
  label(34, 10 + bins_high, "end", "1");
  label(40, bins_high + 28, "start", "0");
  label(40 + width, bins_high + 28, "end", short(maximum));
  return chart;
}

// --- explanations --------------------------------------------------------------------------------------------------

const any_token = -1;

/** Does a pattern match the tokens that end at `at`? The first token that it may see stands at `first`. */
function matches([tokens, at_start], text, at, first) {
  const begin = at - tokens.length + 1;
  if (begin < first || (at_start && begin !== first)) return false;
  return tokens.every((token, i) => token === any_token || token === text[begin + i]);
}

const steps_drawn = 7;  // longer patterns are drawn by their ends

/** A pattern as the steps of a graph, from right to left: runs of wildcards are one step, and so is what is too long. */
function steps_of([tokens, at_start], vocabulary) {
  const steps = [];
  for (const token of [...tokens].reverse()) {
    const last = steps[steps.length - 1];
    if (token === any_token && last && last.any) ++last.any;
    else steps.push(token === any_token ? {any: 1} : {text: visible(vocabulary[token])});
  }
  if (at_start) steps.push({text: "^ start"});
  const texts = steps.map(step => step.any ? `any ${step.any === 1 ? "token" : step.any}` : step.text);
  return texts.length > steps_drawn ? [...texts.slice(0, steps_drawn - 1), `… ${texts.length - steps_drawn + 1} more`] : texts;
}

/** Patterns as a tree that is read from right to left: a latent fires after its root's children. */
function tree_of(patterns, vocabulary) {
  const root = {children: new Map(), value: null, examples: 0};
  for (const pattern of patterns) {
    let node = root;
    for (const text of steps_of(pattern, vocabulary)) {
      if (!node.children.has(text)) node.children.set(text, {children: new Map(), text, value: null, examples: 0});
      node = node.children.get(text);
    }
    node.value = Math.max(node.value || 0, pattern[2]);
    node.examples += pattern[3];
  }
  return root;
}

const node_high = 26, row_high = 34, gap = 18, note_wide = 96;

/** Places nodes: one row for each leaf, one column for each step to the left, as wide as its longest text. */
function place(node, depth, state) {
  node.depth = depth;
  node.label = node.text && node.text.length > 16 ? node.text.slice(0, 15) + "…" : node.text || "";
  state.wide[depth] = Math.max(state.wide[depth] || 0, node.label.length * 7.4 + 16);
  const kids = [...node.children.values()];
  kids.forEach(kid => place(kid, depth + 1, state));
  node.row = kids.length === 0 ? state.rows++ : (kids[0].row + kids[kids.length - 1].row) / 2;
}

function graph(patterns, vocabulary) {
  const root = tree_of(patterns, vocabulary), state = {rows: 0, wide: []};
  place(root, 0, state);
  const wide = state.wide.slice(1), right = [];  // right[d]: distance of column d's right edge from that of the drawing
  wide.reduce((sum, w, depth) => { right[depth + 1] = sum; return sum + w + gap + (depth + 1 < wide.length ? 30 : 0); }, 6);
  const width = right[right.length - 1] + wide[wide.length - 1] + note_wide, high = state.rows * row_high + 8;
  const left = node => width - right[node.depth] - wide[node.depth - 1], y = node => node.row * row_high + 20;
  const chart = draw("svg", {class: "graph", viewBox: `0 0 ${width} ${high}`, width, height: high, role: "img",
    "aria-label": `Graph of ${patterns.length} patterns, listed below`});
  const add = node => {
    for (const kid of node.children.values()) {
      const column = wide[kid.depth - 1];
      if (node !== root) {
        const from = left(kid) + column, to = left(node), middle = (from + to) / 2;
        chart.append(draw("path", {class: "edge", d: `M${from} ${y(kid)} C${middle} ${y(kid)} ${middle} ${y(node)} ${to} ${y(node)}`}));
      }
      const kind = node === root ? "node fires" : kid.text.startsWith("any ") || kid.text.startsWith("… ") ? "node wild" : "node";
      const text = draw("text", {class: "mono", x: left(kid) + column / 2, y: y(kid) + 4, "text-anchor": "middle"});
      text.textContent = kid.label;
      const name = draw("title");
      name.textContent = kid.text;
      chart.append(draw("rect", {class: kind, x: left(kid), y: y(kid) - node_high / 2, width: column, height: node_high, rx: 5}, name), text);
      if (kid.value !== null) {
        const note = draw("text", {class: "quiet", x: left(kid) - 6, y: y(kid) + (kid.children.size > 0 ? -8 : 4), "text-anchor": "end"});
        note.textContent = `${short(kid.value)} ×${kid.examples}`;
        chart.append(note);
      }
      add(kid);
    }
  };
  add(root);
  return make("div", {class: "scroll from-right", tabindex: 0, role: "region", "aria-label": "Graph of the explanation"}, chart);
}

function explanation(latent, vocabulary) {
  if (!latent.patterns) return [];
  const list = make("ul", {class: "examples"}, ...latent.patterns.map(([tokens, at_start, value, examples]) => make("li", {},
    at_start ? "^ " : "", ...tokens.flatMap(token => [token === any_token ? "∗" : token_element(vocabulary[token]), " "]),
    make("span", {class: "where"}, `predicts ${short(value)}, from ${examples} example${examples === 1 ? "" : "s"}`))));
  return [
    make("h2", {}, "Explanation (Neuron-to-Graph)"),
    make("p", {class: "faint"}, "Fires after the tokens at the right when those to their left stand before them. Beside the beginning of each pattern: the activation that it predicts, and the number of examples that gave it."),
    latent.patterns.length > 0 ? graph(latent.patterns, vocabulary) : make("p", {}, "No pattern was found."),
    make("details", {}, make("summary", {}, `${latent.patterns.length} patterns as text`), list)];
}

// --- texts ---------------------------------------------------------------------------------------------------------

async function context_tokens(report, context) {
  const shard = Math.floor(context / report.contexts_in_shard), length = report.context_length;
  const ids = await load(`text/${shard}`);
  const begin = (context - shard * report.contexts_in_shard) * length;
  return ids.slice(begin, begin + length);
}

function heat_map(report, vocabulary, ids, chosen, activations, maximum, patterns) {
  const spans = ids.map((id, at) => {
    const value = activations.get(at) || 0;
    const predicted = patterns && at >= report.first_position && patterns.some(pattern => matches(pattern, ids, at, report.first_position));
    const kinds = [at === chosen ? "chosen" : "", at < report.first_position ? "left-out" : ""];
    if (patterns && at >= report.first_position) kinds.push(value > 0 ? (predicted ? "hit" : "miss") : (predicted ? "alarm" : ""));
    const words = {hit: ", predicted", miss: ", not predicted", alarm: "predicted, but it does not fire"}[kinds[2]] || "";
    const title = value > 0 ? short(value) + words : words || (at < report.first_position ? "left out: an attention sink" : null);
    const style = value > 0 ? `background: rgba(var(--heat), ${(0.12 + 0.68 * Math.min(1, value / maximum)).toFixed(2)})` : null;
    return make(value > 0 ? "mark" : "span", {class: kinds.filter(kind => kind).join(" ") || null, title, style}, vocabulary[id].replace(/\n/g, "↵"));
  });
  return make("p", {class: "text"}, ...spans);
}

async function example_list(report, vocabulary, examples, maximum, patterns, first_shown) {
  const items = await Promise.all(examples.map(async ([context, position, pairs], at) => {
    const activations = new Map();
    for (let i = 0; i < pairs.length; i += 2) activations.set(pairs[i], pairs[i + 1]);
    const ids = await context_tokens(report, context);
    return make("li", {hidden: at >= first_shown}, heat_map(report, vocabulary, ids, position, activations, maximum, patterns),
      make("span", {class: "where"}, `activation ${short(activations.get(position))}, context ${context}, position ${position}`));
  }));
  const list = make("ul", {class: "examples"}, ...items);
  if (items.length <= first_shown) return [list];
  const more = make("button", {type: "button", class: "button", click: event => {
    items.forEach(item => { item.hidden = false; });
    event.target.remove();
  }}, `Show ${items.length - first_shown} more`);
  return [list, make("p", {}, more)];
}

// --- directions ----------------------------------------------------------------------------------------------------

function effects(pairs, label_of) {
  const items = [];
  let most = 0;
  for (let i = 1; i < pairs.length; i += 2) most = Math.max(most, Math.abs(pairs[i]));
  for (let i = 0; i < pairs.length; i += 2) {
    items.push(make("li", {}, label_of(pairs[i]), make("b", {style: `width: ${(100 * Math.abs(pairs[i + 1]) / most).toFixed(0)}%`}), make("i", {}, short(pairs[i + 1]))));
  }
  return make("ul", {class: "effects"}, ...items);
}

// --- the page ------------------------------------------------------------------------------------------------------

async function latent_page(report, at, id) {
  const autoencoder = report.autoencoders[at];
  if (!autoencoder) throw new Error(`This report has no autoencoder number ${at}.`);
  const [index, vocabulary] = await Promise.all([load(`${at}/index`), load("vocabulary")]);
  const row = index.latent.indexOf(Number(id));
  if (!(Number(id) >= 0 && Number(id) < autoencoder.latents)) throw new Error(`${autoencoder.name} has latents 0 to ${autoencoder.latents - 1}; there is no latent ${id}.`);
  if (row < 0) throw new Error(`Latent ${id} is not among the ${count(index.latent.length)} of ${count(autoencoder.latents)} that this report shows.`);
  const latent = (await load(`${at}/${Math.floor(row / report.latents_in_shard)}`))[id];
  const maximum = index.max[row], patterns = latent.patterns;
  document.title = `Latent ${id} of ${autoencoder.name}`;
  const neighbour = (text, other) => other === undefined ? null : make("a", {class: "button", href: `#/${at}/${other}`}, text);
  const key = patterns ? make("p", {class: "key faint text"}, make("span", {class: "hit"}, "hit"), make("span", {class: "miss"}, "miss"), make("span", {class: "alarm"}, "false alarm"), "of the explanation") : null;
  return [
    make("nav", {class: "tools", "aria-label": "Latents"}, make("a", {class: "button", href: state_address({}, {a: at})}, "Table"),
      neighbour("Previous", index.latent[row - 1]), neighbour("Next", index.latent[row + 1]), neighbour("Any", index.latent[Math.floor(Math.random() * index.latent.length)])),
    make("h1", {}, `Latent ${id} of ${autoencoder.name}`),
    facts([["fires on", `${percent(index.density[row])} of the tokens (${count(latent.firings)})`], ["mean where it fires", short(latent.mean)], ["maximum", short(maximum)]]),
    latent.firings === 0 ? make("p", {class: "problem"}, "It never fired on this text.") : histogram(latent.histogram, maximum),
    ...explanation(latent, vocabulary),
    latent.firings > 0 ? make("h2", {}, "Texts on which it fires, drawn at random") : null, key,
    ...(await example_list(report, vocabulary, latent.random, maximum, patterns, 5)),
    latent.firings > 0 ? make("h2", {}, "Texts on which it fires most strongly") : null,
    ...(await example_list(report, vocabulary, latent.top, maximum, patterns, 5)),
    make("h2", {}, "What its direction does by itself"),
    make("p", {class: "faint"}, "The scores of tokens that its decoder direction alone would change most, through the model's last normalisation; and the latents whose directions are nearest, with cosines."),
    make("div", {class: "columns"},
      ...[["Promoted tokens", latent.up], ["Suppressed tokens", latent.down]].filter(([, pairs]) => pairs.length > 0).map(([title, pairs]) =>
        make("section", {}, make("h3", {}, title), effects(pairs, token => token_element(vocabulary[token])))),
      make("section", {}, make("h3", {}, "Nearest directions"), effects(latent.near, other => index.latent.includes(other) ? make("a", {href: `#/${at}/${other}`}, `latent ${other}`) : `latent ${other}`)))];
}
