/* What each chart shows: from the state of the page to an ECharts option and a height; null where the run lacks it. */

function scoresChart() {
  const found = shownRuns("scores");
  const names = (found[0]?.run.scores ?? []).map(([name]) => name);
  const series = found.map(({ run, at }) => ({
    name: run.name, values: run.scores.map(([, ...numbers]) => numbers), paint: color(`run-${at}`), shape: SHAPES[at],
  }));
  return { option: intervalChart(names, series), height: 60 + names.length * (18 + 8 * series.length) };
}

function emotionsChart() {
  const found = shownRuns("f1");
  const by = RUNS[page.run].f1 ?? found[0]?.run.f1 ?? [];
  const order = by.map((_, at) => at).sort((a, b) => by[b][0] - by[a][0]);
  const series = found.map(({ run, at }) => ({
    name: run.name, values: order.map((label) => run.f1[label]), paint: color(`run-${at}`), shape: SHAPES[at],
  }));
  const paper = DATA.paper && order.map((label) => DATA.paper[label]);
  const option = intervalChart(order.map((label) => LABELS[label]), series, { paper });
  return { option, height: 60 + order.length * (17 + 7 * Math.max(1, series.length)) };
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
  return {
    height: 340,
    option: base({
      grid: { left: 8, right: 20, top: isNarrow() ? 76 : 52, bottom: 36, containLabel: true },
      legend: { top: 0, left: 0, textStyle: { color: color("ink") }, inactiveColor: color("muted") },
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

/* Where the slider stands, and where val put the threshold; with all labels only where all are the same. */
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
          return `${name}\nsaid ${fixed(said)}, observed ${fixed(seen)} (95 %: ${fixed(low)} to ${fixed(high)})\n${cells.toLocaleString("en")} cells`;
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
  return {
    height: Math.min(480, document.getElementById("chart-reliability").clientWidth || 480),
    option: base({
      grid: { left: 24, right: 20, top: 36, bottom: 36, containLabel: true },
      legend: { top: 0, left: 0, data: Object.keys(bins).map((state) => looks[state][0]), textStyle: { color: color("ink") }, inactiveColor: color("muted") },
      xAxis: axis("value", { min: 0, max: 1, name: "mean probability" }), yAxis: axis("value", { min: 0, max: 1, name: "share that is gold", nameGap: 36 }),
      dataZoom: zoomable("xAxisIndex", "yAxisIndex"), tooltip: { trigger: "item" }, series,
    }),
  };
}

function confusionsChart() {
  const found = RUNS[page.run].confusions;
  if (!found) return null;
  const cells = [], few = []; // few: too few comments for a colour
  found.share.forEach((row, i) => row.forEach((share, j) => share && (found.count[i][j] < found.least ? few : cells).push([j, i, Math.sqrt(share)])));
  if (!cells.length && !few.length) return null;
  const highest = Math.max(...cells.map(([, , root]) => root), 0.1);
  const names = { data: LABELS, axisLabel: { interval: 0, fontSize: 11, formatter: (name) => shortened(name, isNarrow() ? 10 : 18) }, splitLine: { show: true, lineStyle: { color: color("faint") } }, axisLine: { show: false } };
  return {
    height: 150 + N_LABELS * (N_LABELS > 40 ? 14 : 19),
    option: base({
      grid: { left: 8, right: 8, top: 8, bottom: 44, containLabel: true },
      xAxis: axis("category", { ...names, axisLabel: { ...names.axisLabel, rotate: 90 } }),
      yAxis: axis("category", { ...names, inverse: true }),
      visualMap: {
        seriesIndex: 0, min: 0, max: highest, calculable: false, orient: "horizontal", left: 0, bottom: 0, itemHeight: 90, itemWidth: 12, textStyle: { color: color("ink") },
        inRange: { color: [color("raised"), color("run-0")] }, formatter: (root) => `${(100 * root * root).toFixed(0)} %`, text: [`${(100 * highest * highest).toFixed(0)} %`, "0 %"],
      },
      dataZoom: zoomable("xAxisIndex", "yAxisIndex"),
      tooltip: {
        trigger: "item",
        formatter: ({ data: [j, i, root] }) => `${LABELS[i]} missed,\n${LABELS[j]} predicted instead:\n${(100 * root * root).toFixed(1)} %, ${found.count[i][j]} comments`,
      },
      series: [
        { type: "heatmap", data: cells, progressive: 0, itemStyle: { borderWidth: 1, borderColor: color("paper") } },
        { type: "scatter", data: few, symbolSize: 4, itemStyle: { color: color("muted") } },
      ],
    }),
  };
}

/* The end of an axis that leaves room, and makes no mountain of a hair's breadth. */
function padded(sign) {
  return ({ min, max }) => {
    const room = Math.max(0.1 * (max - min), 0.01);
    return sign < 0 ? Math.max(0, min - room) : max + room;
  };
}

/* Columns of the epochs: epoch, train_loss, val_loss, val_f1_macro, val_f1_micro, val_auc_micro. */
function curvesChart(...columns) {
  return () => {
    const found = shownRuns("epochs");
    if (!found.length) return null;
    const series = found.flatMap(({ run, at }) =>
      columns.map(([column, what], k) => ({
        type: "line", name: `${run.name}, ${what}`, color: color(`run-${at}`), symbol: SHAPES[at], symbolSize: 7,
        data: run.epochs.map((epoch) => [epoch[0], epoch[column]]), lineStyle: { width: 2, type: k ? "dashed" : "solid" },
      })),
    );
    return {
      height: 260,
      option: base({
        grid: { left: 8, right: 16, top: 12, bottom: 36, containLabel: true },
        xAxis: axis("value", { name: "epoch", minInterval: 1, min: ({ min, max }) => (min === max ? min - 1 : min), max: ({ min, max }) => (min === max ? max + 1 : max), splitLine: { show: false } }),
        yAxis: axis("value", { min: padded(-1), max: padded(1), axisLabel: { formatter: (value) => String(+value.toFixed(4)), showMinLabel: false, showMaxLabel: false } }), dataZoom: zoomable("xAxisIndex"),
        tooltip: { trigger: "item", formatter: ({ seriesName, value }) => `${seriesName}\nepoch ${value[0]}: ${fixed(value[1], 4)}` },
        series,
      }),
    };
  };
}

function classesChart() {
  if (!DATA.counts) return null;
  const share = (split, label) => DATA.counts[split].labels[label] / Math.max(1, DATA.counts[split].comments);
  const order = LABELS.map((_, label) => label).sort((a, b) => share("train", b) - share("train", a));
  const series = Object.keys(DATA.counts).map((split, at) => ({
    type: "bar", name: split, color: color(`run-${at}`), barGap: "0%", barCategoryGap: "25%", data: order.map((label) => share(split, label)),
  }));
  return {
    height: 90 + order.length * 24,
    option: base({
      grid: { left: 8, right: 24, top: 36, bottom: 32, containLabel: true },
      legend: { top: 0, left: 0, textStyle: { color: color("ink") }, inactiveColor: color("muted") },
      xAxis: axis("value", { splitNumber: isNarrow() ? 3 : 6, axisLabel: { formatter: (value) => `${+(100 * value).toFixed(1)} %` } }),
      yAxis: axis("category", { data: order.map((label) => LABELS[label]), inverse: true, axisLabel: { interval: 0, fontSize: 12, formatter: (name) => shortened(name, isNarrow() ? 14 : 24) } }),
      dataZoom: zoomable("xAxisIndex", "yAxisIndex"),
      tooltip: {
        trigger: "item",
        formatter: ({ seriesName, dataIndex, value }) => `${LABELS[order[dataIndex]]}\n${seriesName}: ${DATA.counts[seriesName].labels[order[dataIndex]].toLocaleString("en")} comments, ${(100 * value).toFixed(2)} %`,
      },
      series,
    }),
  };
}
