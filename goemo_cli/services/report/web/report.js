/* The page itself: which run is shown, sorting of tables, the theme, printing. */

function element(tag, attributes = {}, text = null) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  return made;
}

const OF_ONE_RUN = ["chart-emotions", "chart-thresholds", "chart-reliability", "chart-confusions"];

function chooseRun(at) {
  page.run = at;
  for (const part of document.querySelectorAll("[data-run]")) part.hidden = Number(part.dataset.run) !== at;
  document.getElementById("reliability").hidden = !RUNS[at].bins;
  document.getElementById("confusion-figure").hidden = !RUNS[at].confusions;
  startExplorer();
  search();
  for (const id of OF_ONE_RUN) {
    if (charts.has(id)) draw(id);
    else document.getElementById(id).closest("figure").hidden = !CHARTS[id]();
  }
}

/* A column is sorted by its numbers where it has some, best first; by text otherwise. */
function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    if ("still" in heading.dataset) return;
    const button = element("button", { type: "button" });
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, column, heading));
  });
}

function sortBy(table, column, heading) {
  const isNumber = heading.classList.contains("number");
  const before = heading.getAttribute("aria-sort");
  const order = before ? (before === "ascending" ? "descending" : "ascending") : isNumber ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, key: keyOf(row.cells[column], isNumber) }));
  rows.sort((a, b) => compare(a.key, b.key, sign));
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

function keyOf(cell, isNumber) {
  if (!isNumber) return cell.textContent.trim();
  return cell.dataset.value ? Number(cell.dataset.value) : null;
}

/* What is undefined stands last, whichever the order. */
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "string" ? a.localeCompare(b, "en") : a - b);
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function showTheme() {
  const button = document.getElementById("theme");
  button.setAttribute("aria-pressed", String(isDark()));
  redraw();
}

/* A browser that reloads fills in what was chosen before; the page begins anew. */
function resetControls() {
  for (const select of document.querySelectorAll("select")) select.selectedIndex = 0;
  for (const input of document.querySelectorAll("input")) {
    input.value = input.defaultValue;
    input.checked = input.defaultChecked;
  }
}

function listenToPage() {
  const picker = document.getElementById("run");
  picker.addEventListener("change", () => chooseRun(Number(picker.value)));
  document.getElementById("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  document.getElementById("toggles").addEventListener("change", ({ target }) => {
    page.shown[Number(target.value)] = target.checked;
    redraw("chart-scores", "chart-emotions", "chart-loss", "chart-f1", "chart-auc");
  });
  document.getElementById("reliability-label").addEventListener("change", ({ target }) => {
    page.reliability = Number(target.value);
    redraw("chart-reliability");
  });
  window.addEventListener("resize", soon(() => redraw()));
  window.addEventListener("beforeprint", drawForPaper);
  window.addEventListener("afterprint", drawForScreen);
}

resetControls();
document.querySelectorAll("table.sortable").forEach(makeSortable);
listenToPage();
listenToExplorer();
listenToBrowser();
listenToSweeps();
chooseRun(0);
watchCharts();
showTheme();
