/* The browser of test texts: filtered and ordered in memory, one page of them in the document. */

const PER_PAGE = 20;
const LONGEST = 300;
const finder = Object.fromEntries(["text", "gold", "predicted", "kind", "order"].map((name) => [name, document.getElementById(`find-${name}`)]));
const browser = { rows: [], page: 0 };
const folded = once(() => DATA.texts.map((text) => text.toLowerCase()));

/* Per text of a run: how many labels were missed, falsely predicted, and predicted. */
function mistakesOf(run) {
  const missed = new Uint16Array(N_ROWS);
  const alarms = new Uint16Array(N_ROWS);
  const predicted = new Uint16Array(N_ROWS);
  const truth = gold();
  run.pred().forEach((yes, cell) => {
    const row = Math.floor(cell / N_LABELS);
    predicted[row] += yes;
    if (truth[cell] && !yes) missed[row] += 1;
    if (!truth[cell] && yes) alarms[row] += 1;
  });
  return { missed, alarms, predicted };
}

for (const run of RUNS) run.mistakes = once(() => mistakesOf(run));

const KINDS = {
  all: () => true,
  wrong: (found, row) => found.missed[row] > 0 || found.alarms[row] > 0,
  missed: (found, row) => found.missed[row] > 0,
  false: (found, row) => found.alarms[row] > 0,
  empty: (found, row) => found.predicted[row] === 0,
  right: (found, row) => !KINDS.wrong(found, row),
};

/* Row numbers, from 0, that fit the form, in its order. */
function findTexts(run) {
  const found = run.mistakes();
  const words = finder.text.value.trim().toLowerCase();
  const wanted = /^#\d+$/.test(words) ? Number(words.slice(1)) - 1 : null;
  const goldLabel = Number(finder.gold.value);
  const predictedLabel = Number(finder.predicted.value);
  const fits = KINDS[finder.kind.value];
  const rows = [];
  for (let row = 0; row < N_ROWS; row++) {
    if (wanted !== null ? row !== wanted : words && !folded()[row].includes(words)) continue;
    if (goldLabel >= 0 && !gold()[row * N_LABELS + goldLabel]) continue;
    if (predictedLabel >= 0 && !run.pred()[row * N_LABELS + predictedLabel]) continue;
    if (fits(found, row)) rows.push(row);
  }
  const losses = run.losses();
  const isRight = (row) => (KINDS.wrong(found, row) ? 0 : 1);
  if (finder.order.value === "errors") rows.sort((a, b) => isRight(a) - isRight(b) || losses[b] - losses[a] || a - b);
  if (finder.order.value === "loss") rows.sort((a, b) => losses[b] - losses[a] || a - b);
  return rows;
}

function search() {
  const run = RUNS[page.run];
  document.getElementById("browser").hidden = document.getElementById("pager").hidden = !run.isScored;
  browser.rows = run.isScored ? findTexts(run) : [];
  browser.page = 0;
  showTexts();
}

function showTexts() {
  const run = RUNS[page.run];
  const from = browser.page * PER_PAGE;
  const shown = browser.rows.slice(from, from + PER_PAGE);
  const pages = Math.max(1, Math.ceil(browser.rows.length / PER_PAGE));
  const count = browser.rows.length.toLocaleString("en");
  document.getElementById("found").textContent = run.isScored ? `${count} of ${N_ROWS.toLocaleString("en")} ${TERMS.texts}${RUNS.length > 1 ? `, ${run.name}` : ""}` : "";
  document.getElementById("text-list").replaceChildren(...shown.map((row) => textItem(run, row)));
  document.getElementById("page-number").textContent = `page ${browser.page + 1} of ${pages.toLocaleString("en")}`;
  document.getElementById("previous").disabled = browser.page === 0;
  document.getElementById("next").disabled = browser.page >= pages - 1;
  document.getElementById("found-csv").hidden = !browser.rows.length;
}

function textItem(run, row) {
  const item = element("li", { class: "entry" });
  const left = element("div");
  left.append(textOf(row), metaOf(run, row));
  const right = element("div");
  right.append(goldChips(run, row), ...(RUNS.length > 1 ? RUNS : [run]).map((one, at) => predictedChips(one, row, at)).filter(Boolean));
  const more = element("button", { type: "button", "aria-expanded": "false" }, "All probabilities");
  more.addEventListener("click", () => toggleAll(item, more, run, row));
  right.append(more);
  item.append(left, right);
  return item;
}

function textOf(row) {
  const text = DATA.texts[row];
  const paragraph = element("p");
  const shown = element("bdi", { dir: "auto" }, text.length > LONGEST ? `${cut(text)}…` : text || "(empty)");
  paragraph.append(shown);
  if (text.length > LONGEST) {
    const button = element("button", { type: "button", "aria-expanded": "false" }, `Show all ${text.length.toLocaleString("en")} characters`);
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "false";
      shown.textContent = open ? text : `${cut(text)}…`;
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`;
    });
    paragraph.append(" ", button);
  }
  return paragraph;
}

/* The beginning of a text, without half a character at its end. */
function cut(text) {
  return text.slice(0, LONGEST).replace(/[\ud800-\udbff]$/, "");
}

function metaOf(run, row) {
  const id = DATA.ids ? `, id ${DATA.ids[row]}` : "";
  return element("div", { class: "meta" }, `row ${(row + 1).toLocaleString("en")}${id} · loss ${fixed(run.losses()[row], 2)}`);
}

function goldChips(run, row) {
  return chips("gold", labelsWhere(gold(), row), (label) => [run.pred()[row * N_LABELS + label] ? "chip hit" : "chip miss", LABELS[label], run.prob()[row * N_LABELS + label]]);
}

function predictedChips(run, row, at) {
  if (!run.isScored) return null;
  const labels = labelsWhere(run.pred(), row).sort((a, b) => run.prob()[row * N_LABELS + b] - run.prob()[row * N_LABELS + a]);
  const line = chips("predicted", labels, (label) => [gold()[row * N_LABELS + label] ? "chip hit" : "chip alarm", LABELS[label], run.prob()[row * N_LABELS + label]]);
  if (RUNS.length > 1) {
    line.firstChild.replaceChildren(element("span", { class: `mark mark-${at}`, title: run.name, role: "img", "aria-label": run.name }), "pred.");
  }
  return line;
}

function chips(title, labels, look) {
  const line = element("div", { class: "chips" });
  line.append(element("span", {}, title));
  const all = line.appendChild(element("div"));
  if (!labels.length) all.append(element("span", { class: "meta" }, "none"));
  for (const label of labels) {
    const [looks, name, probability] = look(label);
    const chip = element("span", { class: looks });
    chip.append(element("bdi", {}, name), ` ${fixed(probability, 2)}`);
    all.append(chip);
  }
  return line;
}

function toggleAll(item, button, run, row) {
  const open = button.getAttribute("aria-expanded") === "false";
  button.setAttribute("aria-expanded", String(open));
  button.textContent = open ? "Fewer" : "All probabilities";
  if (!open) return item.querySelector(".all").remove();
  const list = element("ol", { class: "all" });
  const prob = run.prob();
  const order = LABELS.map((_, label) => label).sort((a, b) => prob[row * N_LABELS + b] - prob[row * N_LABELS + a]);
  for (const label of order) {
    const value = prob[row * N_LABELS + label];
    const line = element("li", { class: gold()[row * N_LABELS + label] ? "gold" : "" });
    const track = element("span", { class: "track" });
    const bar = track.appendChild(element("span"));
    bar.style.width = `${100 * value}%`;
    line.append(element("bdi", {}, LABELS[label]), element("span", {}, fixed(value, 4)), track);
    list.append(line);
  }
  item.append(list);
}

/* All texts that fit, with the columns of a predictions file. */
function foundTable() {
  const run = RUNS[page.run];
  const names = (cells, row) => labelsWhere(cells, row).map((label) => LABELS[label]).join(",");
  const header = ["row", ...(DATA.ids ? ["id"] : []), "text", "true_labels", "pred_labels", "loss", ...LABELS.map((label) => `pred_prob_${label}`)];
  const rows = browser.rows.map((row) => [
    row + 1, ...(DATA.ids ? [DATA.ids[row]] : []), DATA.texts[row], names(gold(), row), names(run.pred(), row), run.losses()[row],
    ...LABELS.map((_, label) => run.prob()[row * N_LABELS + label]),
  ]);
  return [header, ...rows];
}

function listenToBrowser() {
  document.getElementById("found-csv").addEventListener("click", () => saveCsv(foundTable(), TERMS.texts));
  document.getElementById("browser").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("browser").addEventListener("input", search);
  const turn = (by) => () => {
    browser.page += by;
    showTexts();
    document.getElementById("texts").scrollIntoView();
  };
  document.getElementById("previous").addEventListener("click", turn(-1));
  document.getElementById("next").addEventListener("click", turn(1));
}
