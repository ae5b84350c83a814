/* What all charts share: the state of the page, colours, axes, and values with whiskers in rows. */

const page = { run: 0, shown: RUNS.map(() => true), label: -1, curve: -1, thresholds: null, reliability: 0, together: "gold", by: "epoch" };
const SHAPES = ["circle", "rect", "triangle", "diamond", "arrow", "roundRect"];
const probe = document.body.appendChild(document.createElement("span"));
probe.hidden = true;

/* A colour of the stylesheet as it is in the present theme. */
function color(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

function element(tag, attributes = {}, text = null) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  return made;
}

function fixed(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function shortened(text, longest = 22) {
  const line = text.replace(/\s+/g, " ");
  return line.length <= longest ? line : `${line.slice(0, longest - 1)}…`;
}

function isNarrow() {
  return window.innerWidth < 720;
}

/* Names at an axis are not cut: long ones have several lines. */
function nameAxis(names, extra = {}, size = nameSize()) {
  return axis("category", {
    data: names, ...extra,
    axisLabel: { interval: 0, fontSize: size.fontSize, lineHeight: size.fontSize + 2, formatter: (name) => linesOf(name, size).join("\n"), ...extra.axisLabel },
  });
}

function nameSize() {
  return { fontSize: 12, most: isNarrow() ? 118 : 200 };
}

/* The height of a row that has a name at its side: more than `least` if a name needs several lines. */
function rowHeight(names, least, size = nameSize()) {
  const lines = Math.max(...names.map((name) => linesOf(name, size).length));
  return lines > 1 ? Math.max(least, lines * (size.fontSize + 2) + 6) : least;
}

/* The pixels that names need at the side of a chart. */
function nameWidth(names, size) {
  return Math.ceil(Math.max(...names.flatMap((name) => linesOf(name, size).map((line) => widthOf(line, size.fontSize)))));
}

/* A name in lines that are not wider than `most` pixels, broken at spaces if there are some. */
function linesOf(name, { fontSize, most }) {
  const lines = [""];
  for (const word of shortened(name, 80).split(/(?<= )/)) {
    if (lines.at(-1) && widthOf((lines.at(-1) + word).trimEnd(), fontSize) > most) lines.push("");
    for (const char of word) {
      if (lines.at(-1) && widthOf(lines.at(-1) + char, fontSize) > most && char !== " ") lines.push("");
      lines[lines.length - 1] += char;
    }
  }
  return lines.map((line) => line.trim());
}

const measuring = document.createElement("canvas").getContext("2d");
const widths = new Map();

/* Pixels of a text in a chart. */
function widthOf(text, fontSize = 12) {
  const key = `${fontSize} ${text}`;
  if (!widths.has(key)) {
    measuring.font = `${fontSize}px ${getComputedStyle(document.body).fontFamily}`;
    widths.set(key, measuring.measureText(text).width);
  }
  return widths.get(key);
}

/* A legend above a chart, and the height that its lines need. */
function legend(id, names) {
  const width = Math.max(200, (document.getElementById(id)?.clientWidth || PICTURE_WIDTH) - 8);
  let lines = names.length ? 1 : 0;
  let used = 0;
  for (const name of names) {
    const needed = 48 + widthOf(shortened(name, 44));
    if (used && used + needed > width) {
      lines += 1;
      used = 0;
    }
    used += needed;
  }
  return {
    top: 10 + 22 * lines,
    legend: {
      top: 0, left: 0, itemGap: 14, itemWidth: 22, itemHeight: 9, data: names, textStyle: { color: color("ink"), fontSize: 12 }, inactiveColor: color("muted"),
      formatter: (name) => shortened(name, 44),
    },
  };
}

function base(extra) {
  const tooltip = {
    renderMode: "richText", confine: true, backgroundColor: color("raised"), borderColor: color("line"),
    textStyle: { color: color("ink"), fontSize: 13 }, transitionDuration: 0,
  };
  return {
    animation: false, backgroundColor: "transparent", aria: { enabled: false },
    textStyle: { color: color("ink"), fontFamily: getComputedStyle(document.body).fontFamily },
    ...extra,
    tooltip: { ...tooltip, ...extra.tooltip },
  };
}

function axis(type, extra = {}) {
  return {
    type, axisLine: { lineStyle: { color: color("line") } }, axisTick: { show: false },
    axisLabel: { color: color("ink"), ...extra.axisLabel }, nameTextStyle: { color: color("muted"), fontSize: 12 },
    splitLine: { show: type === "value", lineStyle: { color: color("faint") } }, nameLocation: "middle", nameGap: 28,
    ...Object.fromEntries(Object.entries(extra).filter(([key]) => key !== "axisLabel")),
  };
}

/* Zooming by the buttons, by shift and wheel, and by two fingers: a bare wheel scrolls the page. */
function zoomable(...axes) {
  return axes.map((name) => ({
    type: "inside", [name]: 0, zoomOnMouseWheel: "shift", moveOnMouseMove: true, preventDefaultMouseMove: false,
    filterMode: "none",
  }));
}

function shownRuns(has) {
  return RUNS.map((run, at) => ({ run, at })).filter(({ run, at }) => page.shown[at] && run[has]);
}

/* Values with whiskers in rows; one custom series per run, side by side within a row. */
function intervalChart(names, series, { paper = null, decimals = 3 } = {}) {
  const series_ = series.map(({ name, values, paint, shape }, k) => ({
    type: "custom", name, clip: true, encode: { x: [1, 2, 3], y: 0 },
    data: values.map(([value, low, high], row) => [row, value, low ?? value, high ?? value]),
    renderItem: (_, api) => whisker(api, paint, shape, (k - (series.length - 1) / 2) / Math.max(2, series.length)),
    tooltip: {
      formatter: ({ data: [row, value, low, high] }) =>
        `${names[row]}\n${name}\n${fixed(value, decimals)}  (95 %: ${fixed(low, decimals)} to ${fixed(high, decimals)})`,
    },
  }));
  if (paper) series_.push(paperSeries(names, paper));
  return base({
    grid: { left: 8, right: 16, top: 8, bottom: 8, containLabel: true },
    xAxis: axis("value", { min: (range) => Math.max(0, Math.floor(range.min * 10) / 10), max: 1.015, axisLabel: { showMaxLabel: false }, splitLine: { lineStyle: { color: color("faint") }, showMaxLine: false } }),
    yAxis: nameAxis(names, { inverse: true }),
    dataZoom: zoomable("xAxisIndex", "yAxisIndex"),
    tooltip: { trigger: "item" },
    series: series_,
  });
}

function whisker(api, paint, shape, offset) {
  const row = api.value(0);
  const shift = offset * 0.8 * api.size([0, 1])[1];
  const [x, y] = api.coord([api.value(1), row]);
  const left = api.coord([api.value(2), row])[0];
  const right = api.coord([api.value(3), row])[0];
  const line = { stroke: paint, lineWidth: 1.6 };
  const at = y + shift;
  return {
    type: "group",
    children: [
      { type: "line", shape: { x1: left, y1: at, x2: right, y2: at }, style: line },
      { type: "line", shape: { x1: left, y1: at - 3, x2: left, y2: at + 3 }, style: line },
      { type: "line", shape: { x1: right, y1: at - 3, x2: right, y2: at + 3 }, style: line },
      marker(x, at, paint, shape),
      { type: "rect", shape: { x: left - 4, y: at - 5, width: right - left + 8, height: 10 }, style: { fill: "transparent" } },
    ],
  };
}

/* The shapes of the legend above, so that runs differ by more than colour. */
function marker(x, y, paint, shape) {
  const r = 4.5;
  const points = {
    triangle: [[x, y - r], [x + r, y + r], [x - r, y + r]],
    diamond: [[x, y - r - 1], [x + r + 1, y], [x, y + r + 1], [x - r - 1, y]],
    arrow: [[x - r, y - r], [x + r, y - r], [x, y + r]],
  }[shape];
  const style = { fill: paint };
  if (points) return { type: "polygon", shape: { points }, style };
  if (shape === "circle") return { type: "circle", shape: { cx: x, cy: y, r }, style };
  return { type: "rect", shape: { x: x - r + 0.5, y: y - r + 0.5, width: 2 * r - 1, height: 2 * r - 1, r: shape === "rect" ? 0 : 2 }, style };
}

function paperSeries(names, values) {
  return {
    type: "custom", name: "paper", clip: true, encode: { x: 1, y: 0 }, z: 5, data: values.map((value, row) => [row, value]),
    renderItem: (_, api) => {
      const [x, y] = api.coord([api.value(1), api.value(0)]);
      const half = 0.36 * api.size([0, 1])[1];
      return { type: "rect", shape: { x: x - 1.25, y: y - half, width: 2.5, height: 2 * half }, style: { fill: color("ink") } };
    },
    tooltip: { formatter: ({ data: [row, value] }) => `${names[row]}\nthe paper's BERT-base ${fixed(value, 2)}` },
  };
}
