/* Drawing: when a chart comes into view, when the page changes, and on paper. */

/* Within the margins of A4 and of US letter; charts are less tall, so that one stands on a page with its heading. */
const PAPER = { width: 680, height: (height) => Math.min(780, 0.78 * height) };
const SCREEN = { width: "auto", height: (height) => height };
const charts = new Map();

const CHARTS = {
  "chart-scores": scoresChart, "chart-emotions": emotionsChart, "chart-thresholds": thresholdsChart, "chart-reliability": reliabilityChart,
  "chart-confusions": confusionsChart, "chart-loss": curvesChart([1, "train"], [2, "val"]), "chart-f1": curvesChart([3, "macro"], [4, "micro"]),
  "chart-auc": curvesChart([5, "micro-AUC"]), "chart-classes": classesChart, ...SWEEP_CHARTS,
};

/* Draw a chart anew from the state of the page; it keeps its zoom. */
function draw(id, medium = SCREEN) {
  const element = document.getElementById(id);
  const figure = element?.closest("figure");
  const made = element && CHARTS[id]();
  if (figure) figure.hidden = !made;
  if (!made) return;
  element.style.height = `${medium.height(made.height)}px`;
  if (!charts.has(id)) {
    charts.set(id, echarts.init(element, null, { renderer: "svg" }));
    addZoom(id, figure);
  }
  const chart = charts.get(id);
  const zoom = chart.getOption()?.dataZoom;
  if (zoom) made.option.dataZoom = made.option.dataZoom.map((one, at) => ({ ...one, start: zoom[at]?.start, end: zoom[at]?.end }));
  chart.resize({ width: medium.width });
  chart.setOption(made.option, { notMerge: true });
}

/* All charts at the width of a printed page, at once: the browser does not wait for the next frame. */
function drawForPaper() {
  page.theme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  for (const id of Object.keys(CHARTS)) {
    draw(id, PAPER);
    charts.get(id)?.getZr().refreshImmediately();
  }
}

function drawForScreen() {
  if (page.theme) document.documentElement.dataset.theme = page.theme;
  else delete document.documentElement.dataset.theme;
  redraw();
}

/* Once in the next frame, however often it is asked for: a slider moves faster than a chart draws. */
function soon(work) {
  let waiting = 0;
  return () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(work);
  };
}

function redraw(...ids) {
  for (const id of ids.length ? ids : charts.keys()) if (charts.has(id)) draw(id);
}

function addZoom(id, figure) {
  const box = document.createElement("div");
  box.className = "zoom";
  const name = figure.querySelector("figcaption").textContent;
  for (const [sign, what, factor] of [["+", "Zoom in", 0.6], ["−", "Zoom out", 1 / 0.6], ["⟲", "Whole chart", Infinity]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.title = what;
    button.setAttribute("aria-label", `${what}: ${name}`);
    button.addEventListener("click", () => zoomBy(charts.get(id), factor));
    box.append(button);
  }
  figure.append(box);
  const plot = figure.querySelector(".plot");
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `Chart: ${name}. Its numbers are in the tables of this section.`);
}

/* The first axis of a chart is zoomed about its middle. */
function zoomBy(chart, factor) {
  const [{ start = 0, end = 100 }] = chart.getOption().dataZoom;
  const half = Math.min(50, ((end - start) / 2) * factor);
  const middle = Math.min(100 - half, Math.max(half, (start + end) / 2));
  const whole = factor === Infinity;
  chart.getOption().dataZoom.forEach((_, at) => {
    if (at === 0 || whole) chart.dispatchAction({ type: "dataZoom", dataZoomIndex: at, start: whole ? 0 : middle - half, end: whole ? 100 : middle + half });
  });
}

function watchCharts() {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        draw(target.id);
      }
    },
    { rootMargin: "300px" },
  );
  for (const [id, make] of Object.entries(CHARTS)) {
    const element = document.getElementById(id);
    if (!element) continue;
    const made = make();
    element.closest("figure").hidden = !made;
    if (made) element.style.height = `${made.height}px`;
    seen.observe(element);
  }
}
