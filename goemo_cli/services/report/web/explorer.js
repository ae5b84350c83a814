/* The threshold explorer: one threshold per label, moved together or one by one; all numbers are of test. */

const explorer = {
  label: document.getElementById("explore-label"), slider: document.getElementById("explore-slider"),
  number: document.getElementById("explore-number"), summary: document.getElementById("explore-summary"),
  body: document.querySelector("#explore-table tbody"),
};

function ownThresholds(run) {
  return Float64Array.from(run.thresholds[run.rule]);
}

function startExplorer() {
  const run = RUNS[page.run];
  const possible = run.isScored && run.thresholds !== null;
  document.getElementById("explorer").hidden = !possible;
  page.thresholds = possible ? ownThresholds(run) : null;
  if (possible) showExplorer();
}

/* Set the threshold of the chosen label, or of all. */
function explore(threshold) {
  if (!(threshold >= 0 && threshold <= 1)) return;
  if (page.label < 0) page.thresholds.fill(threshold);
  else page.thresholds[page.label] = threshold;
  showExplorer();
}

function showExplorer() {
  const run = RUNS[page.run];
  const now = measure(run, page.thresholds);
  const own = measure(run, ownThresholds(run));
  const first = page.thresholds[Math.max(0, page.label)];
  const same = page.label >= 0 || page.thresholds.every((one) => one === first);
  explorer.slider.value = same ? first : run.thresholds.global[0];
  if (document.activeElement !== explorer.number) explorer.number.value = same ? first : "";
  explorer.number.placeholder = same ? "" : "one per label";
  explorer.slider.setAttribute("aria-valuetext", same ? fixed(first) : "one per label");
  const of = page.label < 0 ? `all ${TERMS.labels}` : LABELS[page.label];
  setTitle("chart-thresholds", `Precision, recall and F1 on test at each threshold, ${of}`);
  showSummary(now, own);
  showRows(run, now, own);
  moveMarks();
}

const moveMarks = soon(() => {
  if (!page.thresholds) return;
  charts.get("chart-thresholds")?.setOption({ series: [{ markLine: { data: thresholdMarks(RUNS[page.run]) } }] });
});

function showSummary(now, own) {
  const tiles = [
    ["macro-F1", now.macro.f1, own.macro.f1], ["macro-precision", now.macro.precision, own.macro.precision], ["macro-recall", now.macro.recall, own.macro.recall],
    ["micro-F1", now.micro.f1, own.micro.f1], ["micro-precision", now.micro.precision, own.micro.precision], ["micro-recall", now.micro.recall, own.micro.recall],
    [`labels per ${TERMS.text}`, now.micro.predicted / N_ROWS, own.micro.predicted / N_ROWS],
  ];
  explorer.summary.replaceChildren(
    ...tiles.map(([name, value, before]) => {
      const tile = element("div", { class: "tile", "data-score": name, "data-value": value });
      tile.append(element("span", {}, name), element("b", {}, fixed(value)), element("span", {}, `val's choice ${fixed(before)}`));
      return tile;
    }),
  );
}

function showRows(run, now, own) {
  const thresholds = ownThresholds(run);
  if (explorer.body.dataset.rowsOf !== run.name) explorer.body.replaceChildren(...labelOrder().map(emptyRow));
  explorer.body.dataset.rowsOf = run.name;
  for (const row of explorer.body.rows) {
    const label = Number(row.dataset.label);
    const one = now.labels[label];
    const change = one.f1 - own.labels[label].f1;
    const cells = [
      page.thresholds[label], thresholds[label], one.precision, one.recall, one.f1, own.labels[label].f1, change,
      one.hits, one.predicted - one.hits, one.support - one.hits,
    ];
    cells.forEach((value, at) => {
      const cell = row.cells[at + 1];
      cell.dataset.value = value;
      cell.textContent = at > 6 ? value.toLocaleString("en") : at === 6 ? signed(value) : fixed(value);
    });
    row.cells[7].className = `number ${Math.abs(change) < 5e-4 ? "" : change > 0 ? "better" : "worse"}`;
    row.classList.toggle("chosen", label === page.label);
  }
}

function signed(value) {
  if (Math.abs(value) < 5e-4) return "0";
  return `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(3)}`;
}

function emptyRow(label) {
  const row = element("tr", { "data-label": label });
  const name = element("th", { scope: "row" });
  name.append(element("bdi", {}, LABELS[label]));
  row.append(name, ...Array.from({ length: 10 }, () => element("td", { class: "number" })));
  return row;
}

function listenToExplorer() {
  explorer.slider.addEventListener("input", () => explore(Number(explorer.slider.value)));
  explorer.number.addEventListener("input", () => explorer.number.value !== "" && explore(Number(explorer.number.value)));
  explorer.number.addEventListener("blur", showExplorer);
  explorer.label.addEventListener("change", () => chooseLabel(Number(explorer.label.value)));
  for (const button of document.querySelectorAll("[data-rule]")) {
    button.addEventListener("click", () => {
      const run = RUNS[page.run];
      const values = run.thresholds[button.dataset.rule === "own" ? run.rule : button.dataset.rule];
      if (page.label < 0) page.thresholds = Float64Array.from(values);
      else page.thresholds[page.label] = values[page.label];
      showExplorer();
    });
  }
}

function chooseLabel(label) {
  page.label = label;
  explorer.label.value = String(label);
  showExplorer();
  redraw("chart-thresholds");
  showChosenRow();
}

/* Within the box of the table; the page stays where it is. */
function showChosenRow() {
  const row = explorer.body.querySelector(".chosen");
  const box = explorer.body.closest(".scroll");
  if (row) box.scrollTop = row.offsetTop - box.clientHeight / 2;
}
