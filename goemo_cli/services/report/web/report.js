/* The page itself: which run is shown, the theme, the list of sections, printing. */

const OF_ONE_RUN = ["chart-labels", "chart-precision-recall", "chart-thresholds", "chart-reliability", "chart-confusions", "chart-matrix", "chart-together"];

/* Show a run, with all that is chosen in the controls. */
function showRun(at) {
  const run = RUNS[at];
  page.run = at;
  document.getElementById("run").value = String(at);
  for (const part of document.querySelectorAll("[data-run]")) part.hidden = Number(part.dataset.run) !== at;
  document.getElementById("reliability").hidden = !run.bins;
  document.getElementById("confusion-figure").hidden = !run.confusions;
  for (const id of ["precision-recall", "together-figure"]) document.getElementById(id).hidden = !run.isScored;
  readChoices();
  startExplorer();
  search();
  for (const id of OF_ONE_RUN) {
    if (charts.has(id)) draw(id);
    else document.getElementById(id).closest("figure").hidden = !CHARTS[id]();
  }
}

/* What the controls say, for the charts. */
function readChoices() {
  const value = (id) => document.getElementById(id).value;
  page.label = Number(value("explore-label"));
  page.curve = Number(value("curve-label"));
  page.reliability = Number(value("reliability-label"));
  page.together = value("together-what");
  page.by = value("curves-by");
  setTitle("chart-reliability", `Predicted against observed, ${page.reliability ? LABELS[page.reliability - 1] : `all ${TERMS.labels}`}`);
  sayCurve();
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/* The button names the theme that it gives. */
function showTheme() {
  document.getElementById("theme").textContent = isDark() ? "Light theme" : "Dark theme";
  redraw();
}

/* A browser that reloads fills in what was chosen before; the page begins anew, with what its address says. */
function resetControls() {
  for (const select of document.querySelectorAll("select")) select.selectedIndex = 0;
  for (const input of document.querySelectorAll("input")) {
    input.value = input.defaultValue;
    input.checked = input.defaultChecked;
  }
}

/* On a narrow screen the list of sections opens below the bar. */
function listenToMenu() {
  const button = document.getElementById("menu");
  const sections = document.getElementById("sections");
  const open = (yes) => {
    button.setAttribute("aria-expanded", String(yes));
    sections.classList.toggle("open", yes);
  };
  button.hidden = false;
  sections.classList.add("folds");
  button.addEventListener("click", () => open(button.getAttribute("aria-expanded") === "false"));
  sections.addEventListener("click", ({ target }) => target.closest("a") && open(false));
  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || button.getAttribute("aria-expanded") === "false") return;
    open(false);
    button.focus();
  });
}

function listenToPage() {
  const picker = document.getElementById("run");
  picker.addEventListener("change", () => showRun(Number(picker.value)));
  document.getElementById("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  document.getElementById("toggles").addEventListener("change", ({ target }) => {
    page.shown[Number(target.value)] = target.checked;
    redraw("chart-scores", "chart-labels", "chart-precision-recall", ...TRAINING_CHARTS);
  });
  const redrawing = { "reliability-label": ["chart-reliability"], "curve-label": ["chart-precision-recall"], "together-what": ["chart-together"], "curves-by": TRAINING_CHARTS };
  for (const [id, shown] of Object.entries(redrawing)) {
    document.getElementById(id).addEventListener("change", () => {
      readChoices();
      redraw(...shown);
    });
  }
  window.addEventListener("resize", soon(() => redraw()));
  window.addEventListener("beforeprint", drawForPaper);
  window.addEventListener("afterprint", drawForScreen);
}

resetControls();
listenToTables();
listenToMenu();
listenToPage();
listenToExplorer();
listenToBrowser();
listenToSweeps();
document.getElementById("along").hidden = !RUNS.some((run) => run.steps && run.epochs.length + run.steps.losses.length > 1);
showRun(0);
watchCharts();
showTheme();
readAddress();
listenToAddress();
