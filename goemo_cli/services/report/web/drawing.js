/* Drawing: when a chart comes into view or the browser is idle, when the page changes, on paper, and as a picture. */

/* Within the margins of A4 and of US letter; charts are less tall, so that each fits on a page with its heading. */
const PAPER = { width: 660, height: (height) => Math.min(780, 0.78 * height) };
const SCREEN = { width: "auto", height: (height) => height };
const PICTURE_WIDTH = 1000;
const charts = new Map();

const CHARTS = {
  "chart-scores": scoresChart, "chart-labels": labelsChart, "chart-precision-recall": precisionRecallChart, "chart-thresholds": thresholdsChart,
  "chart-reliability": reliabilityChart, "chart-confusions": confusionsChart, "chart-matrix": matrixChart, "chart-together": togetherChart,
  "chart-loss": trainingChart([1, "train"], [2, "val"]), "chart-f1": trainingChart([3, "macro-F1"], [4, "micro-F1"]),
  "chart-auc": trainingChart([5, "micro-AUC"]), "chart-classes": classesChart, ...SWEEP_CHARTS,
};

/* Draw a chart anew from the state of the page; it keeps its zoom. */
function draw(id, medium = SCREEN) {
  const element = document.getElementById(id);
  const figure = element?.closest("figure");
  const made = element && CHARTS[id]();
  if (figure) figure.hidden = !made;
  if (!made) return;
  element.style.height = `${medium.height(made.height)}px`;
  if (made.width) element.style.minWidth = medium === SCREEN ? `${made.width}px` : "";
  if (!charts.has(id)) {
    charts.set(id, echarts.init(element, null, { renderer: "svg" }));
    addTools(id, figure);
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

function titleOf(figure) {
  return figure.querySelector(".title").textContent;
}

function setTitle(id, text) {
  document.getElementById(id).closest("figure").querySelector(".title").textContent = text;
}

function addTools(id, figure) {
  const box = element("div", { class: "tools" });
  const name = titleOf(figure);
  const add = (sign, what, act) => {
    const button = element("button", { type: "button", title: what, "aria-label": `${what}: ${name}` }, sign);
    button.addEventListener("click", act);
    box.append(button);
  };
  add("+", "Zoom in", () => zoomBy(charts.get(id), 0.6));
  add("−", "Zoom out", () => zoomBy(charts.get(id), 1 / 0.6));
  add("⟲", "Whole chart", () => zoomBy(charts.get(id), Infinity));
  add("PNG", "Save as PNG", () => savePicture(id));
  figure.querySelector(".head").after(box);
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

/* The chart as it is zoomed now, with its title, drawn once more on a canvas: the policy of the page loads no pictures. */
function savePicture(id) {
  const { option, height } = CHARTS[id]();
  const zoom = charts.get(id).getOption().dataZoom;
  const box = document.body.appendChild(element("div", { class: "off-screen" }));
  box.style.width = `${PICTURE_WIDTH}px`;
  box.style.height = `${height}px`;
  const chart = echarts.init(box, null, { renderer: "canvas", devicePixelRatio: 2, width: PICTURE_WIDTH, height });
  chart.setOption({ ...option, backgroundColor: color("raised"), dataZoom: option.dataZoom.map((one, at) => ({ ...one, start: zoom[at]?.start, end: zoom[at]?.end })) });
  const drawn = chart.renderToCanvas({ pixelRatio: 2, backgroundColor: color("raised") });
  withTitle(drawn, titleOf(document.getElementById(id).closest("figure"))).toBlob((blob) => saveFile(blob, `${id.replace("chart-", "")}.png`));
  chart.dispose();
  box.remove();
}

function withTitle(drawn, title) {
  const canvas = document.createElement("canvas");
  const margin = 32;
  const band = 80;
  canvas.width = drawn.width + 2 * margin;
  canvas.height = drawn.height + band + margin;
  const context = canvas.getContext("2d");
  context.fillStyle = color("raised");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = color("ink");
  context.font = `600 30px ${getComputedStyle(document.body).fontFamily}`;
  context.fillText(RUNS.length > 1 ? title : `${title}, ${RUNS[page.run].name}`, margin, 50, canvas.width - 2 * margin);
  context.drawImage(drawn, margin, band);
  return canvas;
}

function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = element("a", { href: address, download: `goemo-${RUNS[page.run].name}-${name}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/* Heights are set at once, so that nothing moves later. What comes into view is drawn first, the others when the
   browser is idle, so that a picture of the whole page has them. */
function watchCharts() {
  const waiting = new Set();
  const drawNow = (id) => {
    if (waiting.delete(id)) draw(id);
  };
  const seen = new IntersectionObserver(
    (entries) => entries.forEach(({ isIntersecting, target }) => isIntersecting && drawNow(target.id)),
    { rootMargin: "300px" },
  );
  for (const [id, make] of Object.entries(CHARTS)) {
    const plot = document.getElementById(id);
    if (!plot) continue;
    const made = make();
    plot.closest("figure").hidden = !made;
    if (made) plot.style.height = `${made.height}px`;
    waiting.add(id);
    seen.observe(plot);
  }
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 50));
  const next = () => {
    const [id] = [...waiting].filter((one) => document.getElementById(one).clientWidth);
    if (id === undefined) return;
    drawNow(id);
    idle(next);
  };
  idle(next);
}
