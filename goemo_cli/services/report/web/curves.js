/* Curves: precision against recall, and training by epoch or by step. */

const TRAINING_CHARTS = ["chart-loss", "chart-f1", "chart-auc"];
const MOST_POINTS = 500;
const MOST_THIN_LINES = 60;

/* Every point at a low recall, where curves jump, and evenly chosen ones after that. */
function thinned(points) {
  if (points.length <= MOST_POINTS) return points;
  const step = points.length / MOST_POINTS;
  const kept = [];
  for (let at = 0; at < points.length; at = at < 100 ? at + 1 : at + step) kept.push(points[Math.floor(at)]);
  return [...kept, points.at(-1)];
}

/* Precision and recall of the labels that a run predicted; of one label, or of all pooled. */
function ownPoint(run, label) {
  let hits = 0;
  let predicted = 0;
  let support = 0;
  const [truth, pred] = [gold(), run.pred()];
  for (let cell = Math.max(0, label); cell < truth.length; cell += label < 0 ? 1 : N_LABELS) {
    hits += truth[cell] & pred[cell];
    predicted += pred[cell];
    support += truth[cell];
  }
  return predicted && support ? [hits / support, hits / predicted] : null;
}

function precisionRecallChart() {
  const found = RUNS.map((run, at) => ({ run, at })).filter(({ run, at }) => run.isScored && (page.shown[at] || at === page.run));
  if (!found.length || !RUNS[page.run].isScored) return null;
  const thin = RUNS.length === 1 && page.curve < 0 && N_LABELS <= MOST_THIN_LINES ? LABELS.map((_, label) => label) : [];
  const line = (run, label, extra) => ({
    type: "line", showSymbol: false, data: thinned(run.curve(label)).map(([recall, precision]) => [recall, precision]), ...extra,
  });
  const series = [
    ...thin.map((label) => line(RUNS[page.run], label, { name: LABELS[label], color: color("line"), lineStyle: { width: 1 }, z: 1, emphasis: { lineStyle: { color: color("run-1"), width: 2 } }, triggerLineEvent: true })),
    ...found.flatMap(({ run, at }) => {
      const own = ownPoint(run, page.curve);
      const name = RUNS.length > 1 ? run.name : page.curve < 0 ? `all ${TERMS.labels}, pooled` : LABELS[page.curve];
      return [
        line(run, page.curve, { name, color: color(`run-${at}`), lineStyle: { width: 2.4 }, z: 3 }),
        ...(own ? [{ type: "scatter", name, color: color("raised"), data: [own], symbol: SHAPES[at], symbolSize: 12, z: 4, itemStyle: { borderColor: color(`run-${at}`), borderWidth: 2.5 } }] : []),
      ];
    }),
  ];
  const { top, legend: names } = legend("chart-precision-recall", [...new Set(series.slice(thin.length).map((one) => one.name))]);
  return {
    height: Math.min(460, document.getElementById("chart-precision-recall").clientWidth || 460),
    option: base({
      grid: { left: 24, right: 20, top, bottom: 24, containLabel: true },
      legend: names,
      xAxis: axis("value", { min: 0, max: 1, name: "recall" }), yAxis: axis("value", { min: 0, max: 1, name: "precision", nameGap: 36 }),
      dataZoom: zoomable("xAxisIndex", "yAxisIndex"),
      tooltip: { trigger: "item", formatter: ({ seriesName, value }) => (value ? `${seriesName}\nrecall ${fixed(value[0])}, precision ${fixed(value[1])}` : seriesName) },
      series,
    }),
  };
}

/* The area below the curve that is chosen, in a sentence. */
function sayCurve() {
  const run = RUNS[page.run];
  if (!run.isScored) return;
  const area = averagePrecision(run.curve(page.curve));
  const of = page.curve < 0 ? `all ${TERMS.labels}, pooled` : LABELS[page.curve];
  setTitle("chart-precision-recall", `Precision at each recall on test, ${of}`);
  const sentence = area === null ? `${of}: without a gold ${TERMS.text} in test` : `Average precision ${fixed(area)}, ${of}`;
  document.getElementById("curve-finding").textContent = `${sentence}.`;
}

/* The end of an axis that leaves room, and does not make a large slope of a small change. */
function padded(sign) {
  return ({ min, max }) => {
    const room = Math.max(0.1 * (max - min), 0.01);
    return sign < 0 ? Math.max(0, min - room) : max + room;
  };
}

/* Columns of the epochs: epoch, train_loss, val_loss, val_f1_macro, val_f1_micro, val_auc_micro. */
function trainingChart(...columns) {
  return () => {
    const bySteps = page.by === "step";
    const found = shownRuns("epochs").filter(({ run }) => !bySteps || run.steps);
    if (!found.length) return null;
    const place = (run, epoch) => (bySteps ? run.steps.epochs[epoch] : epoch);
    const series = found.flatMap(({ run, at }) => columns.map(([column, what], k) => trainingLine(run, at, column, what, k, place)));
    if (found.length === 1) series[0].markLine = keptLine(found[0].run, place);
    const { top, legend: names } = legend(TRAINING_CHARTS[[1, 3, 5].indexOf(columns[0][0])], series.map((one) => one.name));
    return {
      height: 236 + top,
      option: base({
        grid: { left: 8, right: 16, top: top + (found.length === 1 ? 14 : 0), bottom: 24, containLabel: true },
        legend: names,
        xAxis: axis("value", {
          name: bySteps ? "step" : "epoch", minInterval: 1, splitLine: { show: false },
          min: ({ min, max }) => (min === max ? min - 1 : min), max: ({ min, max }) => (min === max ? max + 1 : max), axisLabel: { hideOverlap: true },
        }),
        yAxis: axis("value", { min: padded(-1), max: padded(1), axisLabel: { formatter: (value) => String(+value.toFixed(4)), showMinLabel: false, showMaxLabel: false } }),
        dataZoom: zoomable("xAxisIndex"),
        tooltip: { trigger: "item", formatter: ({ seriesName, value }) => `${seriesName}\n${bySteps ? "step" : "epoch"} ${value[0].toLocaleString("en")}: ${fixed(value[1], 4)}` },
        series,
      }),
    };
  };
}

/* One column of a run's epochs; its train loss by step has every logged step. The kept epoch is a ring. */
function trainingLine(run, at, column, what, k, place) {
  const isFine = column === 1 && page.by === "step" && run.steps.losses.length > 0;
  const paint = color(`run-${RUNS.length > 1 ? at : k}`);
  const points = isFine
    ? run.steps.losses
    : run.epochs.map((epoch) => {
        const value = [place(run, epoch[0]), epoch[column]];
        return epoch[0] === run.kept ? { value, symbolSize: 13, itemStyle: { color: color("raised"), borderColor: paint, borderWidth: 2.5 } } : value;
      });
  return {
    type: "line", name: RUNS.length > 1 ? `${what}, ${run.name}` : what, color: paint, symbol: SHAPES[at], symbolSize: 7, showSymbol: !isFine,
    data: points, lineStyle: { width: isFine ? 1.2 : 2, type: RUNS.length > 1 && k ? "dashed" : "solid" },
  };
}

function keptLine(run, place) {
  if (run.kept === null) return undefined;
  return {
    symbol: "none", silent: true,
    data: [{ xAxis: place(run, run.kept), lineStyle: { color: color("muted"), type: "dashed", width: 1 }, label: { formatter: "kept", color: color("muted"), position: "end", distance: 3 } }],
  };
}
