/* What each chart shows: from the state of the page to an ECharts option and a height; null if the run does not have it. */

function scoresChart() {
  const found = shownRuns("scores");
  const names = (found[0]?.run.scores ?? []).map(([name]) => name);
  const series = found.map(({ run, at }) => ({
    name: run.name, values: run.scores.map(([, ...numbers]) => numbers), paint: color(`run-${at}`), shape: SHAPES[at],
  }));
  return { option: intervalChart(names, series), height: 44 + names.length * rowHeight(names, 18 + 8 * series.length) };
}

/* Labels by falling F1 of the run that is shown, as in its table. */
function labelOrder() {
  const by = RUNS[page.run].f1 ?? shownRuns("f1")[0]?.run.f1;
  const order = LABELS.map((_, label) => label);
  return by ? order.sort((a, b) => by[b][0] - by[a][0]) : order;
}

function labelsChart() {
  const found = shownRuns("f1");
  const order = found.length ? labelOrder() : [];
  const series = found.map(({ run, at }) => ({
    name: run.name, values: order.map((label) => run.f1[label]), paint: color(`run-${at}`), shape: SHAPES[at],
  }));
  const paper = DATA.paper && order.map((label) => DATA.paper[label]);
  const option = intervalChart(order.map((label) => LABELS[label]), series, { paper });
  return { option, height: 44 + order.length * rowHeight(LABELS, 17 + 7 * Math.max(1, series.length)) };
}

const STEPS = 200;

/* Precision, recall and F1 of one label, or of all by macro and micro, at every threshold. */
function curves(run, label) {
  const found = label < 0 ? { "macro-F1": [], "micro-F1": [], "macro-precision": [], "macro-recall": [] } : { F1: [], precision: [], recall: [] };
  for (let step = 0; step <= STEPS; step++) {
    const threshold = step / STEPS;
    if (label < 0) {
      const { macro, micro } = measure(run, new Float64Array(N_LABELS).fill(threshold));
      found["macro-F1"].push([threshold, macro.f1]);
      found["micro-F1"].push([threshold, micro.f1]);
      found["macro-precision"].push([threshold, macro.precision]);
      found["macro-recall"].push([threshold, macro.recall]);
    } else {
      const one = labelScores(run, label, threshold);
      found.F1.push([threshold, one.f1]);
      found.precision.push([threshold, one.precision]);
      found.recall.push([threshold, one.recall]);
    }
  }
  return found;
}

const keptCurves = new Map();

function curvesOf(run, label) {
  const key = `${run.name} ${label}`;
  if (!keptCurves.has(key)) keptCurves.set(key, curves(run, label));
  return keptCurves.get(key);
}

function thresholdsChart() {
  const run = RUNS[page.run];
  if (!run.isScored || !page.thresholds) return null;
  const paints = ["run-0", "run-1", "run-2", "run-4"].map(color);
  const lines = Object.entries(curvesOf(run, page.label)).map(([name, data], at) => ({
    type: "line", name, data, showSymbol: false, lineStyle: { width: at ? 1.8 : 2.8, type: at > 1 ? "dashed" : "solid" }, color: paints[at],
  }));
  const marks = thresholdMarks(run);
  lines[0].markLine = { symbol: "none", silent: true, data: marks };
  const { top, legend: names } = legend("chart-thresholds", lines.map((one) => one.name));
  return {
    height: 340,
    option: base({
      grid: { left: 8, right: 20, top: top + 18, bottom: 24, containLabel: true },
      legend: names,
      xAxis: axis("value", { min: 0, max: 1, name: "threshold" }), yAxis: axis("value", { min: 0, max: 1 }),
      dataZoom: zoomable("xAxisIndex"),
      tooltip: {
        trigger: "axis",
        formatter: (found) => [`threshold ${fixed(found[0].value[0])}`, ...found.map((one) => `${one.seriesName} ${fixed(one.value[1])}`)].join("\n"),
      },
      series: lines,
    }),
  };
}

/* The threshold of the slider and the one of val; for all labels only if all have the same. */
function thresholdMarks(run) {
  const own = run.thresholds[page.label < 0 ? "global" : run.rule];
  const at = Math.max(0, page.label);
  const same = page.label >= 0 || page.thresholds.every((one) => one === page.thresholds[0]);
  const label = (formatter, position) => ({ formatter, color: color("ink"), position, distance: 4 });
  const val = own[at];
  const marks = [{ xAxis: val, lineStyle: { color: color("ink"), type: "dashed", width: 1.4 }, label: label(page.label < 0 ? "val, global" : "val", "end") }];
  if (same) marks.push({ xAxis: page.thresholds[at], lineStyle: { color: color("ink"), type: "solid", width: 1.8 }, label: label(page.thresholds[at] === val ? "" : "here", "end") });
  return marks;
}

function reliabilityChart() {
  const bins = RUNS[page.run].bins;
  if (!bins) return null;
  const looks = { before: ["as the model gives them", "run-0", "circle"], after: ["calibrated on val", "run-1", "rect"] };
  const series = [{ type: "line", name: "diagonal", silent: true, showSymbol: false, data: [[0, 0], [1, 1]], lineStyle: { color: color("muted"), type: "dotted", width: 1.5 }, tooltip: { show: false } }];
  for (const [state, found] of Object.entries(bins)) {
    const [name, paint, symbol] = looks[state];
    const rows = found[page.reliability];
    series.push({
      type: "line", name, symbol, symbolSize: 8, color: color(paint), data: rows.map(([said, seen]) => [said, seen]), lineStyle: { width: 2 },
      tooltip: {
        formatter: ({ dataIndex: at }) => {
          const [said, seen, low, high, cells] = rows[at];
          return `${name}\npredicted ${fixed(said)}, observed ${fixed(seen)} (95 %: ${fixed(low)} to ${fixed(high)})\n${cells.toLocaleString("en")} cells`;
        },
      },
    });
    series.push({
      type: "custom", name, silent: true, color: color(paint), data: rows.map(([said, , low, high]) => [said, low, high]), encode: { x: 0, y: [1, 2] },
      renderItem: (_, api) => {
        const [x, bottom] = api.coord([api.value(0), api.value(1)]);
        const top = api.coord([api.value(0), api.value(2)])[1];
        return { type: "line", shape: { x1: x, y1: bottom, x2: x, y2: top }, style: { stroke: color(paint), lineWidth: 1.3, opacity: 0.65 } };
      },
    });
  }
  const { top, legend: names } = legend("chart-reliability", Object.keys(bins).map((state) => looks[state][0]));
  return {
    height: Math.min(460, document.getElementById("chart-reliability").clientWidth || 460),
    option: base({
      grid: { left: 24, right: 20, top, bottom: 24, containLabel: true },
      legend: names,
      xAxis: axis("value", { min: 0, max: 1, name: "mean probability" }), yAxis: axis("value", { min: 0, max: 1, name: "share that is gold", nameGap: 36 }),
      dataZoom: zoomable("xAxisIndex", "yAxisIndex"), tooltip: { trigger: "item" }, series,
    }),
  };
}

function confusionsChart() {
  const found = RUNS[page.run].confusions;
  if (!found || RUNS[page.run].matrix) return null;
  const cells = [], few = []; // few: too few comments for a colour
  found.share.forEach((row, i) => row.forEach((share, j) => share && (found.count[i][j] < found.least ? few : cells).push([j, i, Math.sqrt(share)])));
  if (!cells.length && !few.length) return null;
  return heatMap({
    cells, few,
    tell: ([j, i, root]) => `${LABELS[i]} missed,\n${LABELS[j]} predicted instead:\n${(100 * root * root).toFixed(1)} %, ${found.count[i][j]} ${TERMS.texts}`,
  });
}

/* Of single-label data: all texts of the row, also those that are right. */
function matrixChart() {
  const { matrix } = RUNS[page.run];
  if (!matrix) return null;
  const sums = matrix.map((row) => row.reduce((sum, count) => sum + count, 0));
  const cells = matrix.flatMap((row, i) => row.flatMap((count, j) => (count ? [[j, i, Math.sqrt(count / sums[i])]] : [])));
  const tell = ([j, i]) => `${LABELS[i]}, predicted ${LABELS[j]}:\n${matrix[i][j]} of ${sums[i]} ${TERMS.texts}, ${((100 * matrix[i][j]) / sums[i]).toFixed(1)} %`;
  return heatMap({ cells, tell });
}

/* Labels by labels. A cell is column, row, and the signed square root of a share, so that small shares differ too. */
function heatMap({ cells, few = [], tell, diverging = false }) {
  const highest = Math.max(...cells.map(([, , root]) => Math.abs(root)), 0.1);
  const share = (root) => `${root < 0 ? "−" : ""}${(100 * root * root).toFixed(0)} %`;
  const narrow = isNarrow();
  const names = {
    splitLine: { show: true, lineStyle: { color: color("faint") } }, axisLine: { show: false },
  };
  const size = { fontSize: narrow ? 10 : 11, most: narrow ? 92 : 150 };
  const room = nameWidth(LABELS, size);
  const across = nameAxis(LABELS, names, size);
  across.axisLabel.rotate = 90;
  return {
    width: room + 20 + N_LABELS * rowHeight(LABELS, 15, size),
    height: 64 + room + N_LABELS * rowHeight(LABELS, N_LABELS > 40 || narrow ? 14 : 20, size),
    option: base({
      grid: { left: 4, right: 4, top: 8, bottom: 44, containLabel: true },
      xAxis: across,
      yAxis: nameAxis(LABELS, { ...names, inverse: true }, size),
      visualMap: {
        seriesIndex: 0, min: diverging ? -highest : 0, max: highest, calculable: false, orient: "horizontal", left: 0, bottom: 0, itemHeight: 90, itemWidth: 12,
        textStyle: { color: color("ink") }, inRange: { color: diverging ? [color("run-1"), color("raised"), color("run-0")] : [color("raised"), color("run-0")] },
        formatter: share, text: [share(highest), diverging ? share(-highest) : "0 %"],
      },
      dataZoom: zoomable("xAxisIndex", "yAxisIndex"),
      tooltip: { trigger: "item", formatter: ({ data }) => tell(data) },
      series: [
        { type: "heatmap", data: cells, progressive: 0, itemStyle: { borderWidth: 1, borderColor: color("raised") } },
        { type: "scatter", data: few, symbolSize: 4, itemStyle: { color: color("muted") } },
      ],
    }),
  };
}

/* Counts of texts with both labels, as shares of the row's texts; the difference is of shares. */
function togetherChart() {
  const run = RUNS[page.run];
  if (!run.isScored) return null;
  const counts = page.together === "predicted" ? run.together() : goldTogether();
  const share = (found, i, j) => ratio(found[i][j], found[i][i]);
  const value = (i, j) => (page.together === "difference" ? share(run.together(), i, j) - share(goldTogether(), i, j) : share(counts, i, j));
  const cells = [];
  for (let i = 0; i < N_LABELS; i++) {
    for (let j = 0; j < N_LABELS; j++) {
      const found = i === j ? 0 : value(i, j);
      if (found) cells.push([j, i, Math.sign(found) * Math.sqrt(Math.abs(found))]);
    }
  }
  if (!cells.length && page.together === "gold") return null;
  const percent = (found, i, j) => `${(100 * share(found, i, j)).toFixed(1)} % (${found[i][j]} of ${found[i][i]} ${TERMS.texts})`;
  return heatMap({
    cells, diverging: page.together === "difference",
    tell: ([j, i]) => `${LABELS[i]} with ${LABELS[j]}\ngold: ${percent(goldTogether(), i, j)}\npredicted: ${percent(run.together(), i, j)}`,
  });
}

function classesChart() {
  if (!DATA.counts) return null;
  const share = (split, label) => DATA.counts[split].labels[label] / Math.max(1, DATA.counts[split].comments);
  const order = LABELS.map((_, label) => label).sort((a, b) => share("train", b) - share("train", a));
  const series = Object.keys(DATA.counts).map((split, at) => ({
    type: "bar", name: split, color: color(`run-${at}`), barGap: "0%", barCategoryGap: "25%", data: order.map((label) => share(split, label)),
  }));
  const { top, legend: names } = legend("chart-classes", Object.keys(DATA.counts));
  return {
    height: 66 + order.length * rowHeight(LABELS, 24),
    option: base({
      grid: { left: 8, right: 24, top, bottom: 8, containLabel: true },
      legend: names,
      xAxis: axis("value", { splitNumber: isNarrow() ? 3 : 6, axisLabel: { formatter: (value) => `${+(100 * value).toFixed(1)} %` } }),
      yAxis: nameAxis(order.map((label) => LABELS[label]), { inverse: true }),
      dataZoom: zoomable("xAxisIndex", "yAxisIndex"),
      tooltip: {
        trigger: "item",
        formatter: ({ seriesName, dataIndex, value }) => `${LABELS[order[dataIndex]]}\n${seriesName}: ${DATA.counts[seriesName].labels[order[dataIndex]].toLocaleString("en")} ${TERMS.texts}, ${(100 * value).toFixed(2)} %`,
      },
      series,
    }),
  };
}
