/* Sweeps: values of trials with the best so far, or the first objective against the second with the front. */

const SWEEP_CHARTS = Object.fromEntries(
  DATA.sweeps.map((sweep, at) => [`chart-sweep-${at}`, () => (sweep?.trials.length ? sweepChart(`chart-sweep-${at}`, sweep) : null)]),
);

function sweepChart(id, { objectives, trials }) {
  const [points, best, xAxis] = objectives.length > 1 ? front(objectives, trials) : bestSoFar(objectives, trials);
  const short = (value) => String(+value.toPrecision(4));
  const ends = objectives.length > 1;
  const aside = { axisLine: { onZero: false, lineStyle: { color: color("muted") } } };
  const { top, legend: names } = legend(id, [points.name, best.name]);
  return {
    height: 300,
    option: base({
      grid: { left: 28, right: 20, top, bottom: 24, containLabel: true },
      legend: names,
      xAxis: axis("value", { ...aside, ...xAxis, axisLabel: { formatter: short, hideOverlap: true, showMinLabel: ends, showMaxLabel: ends } }),
      yAxis: axis("value", { ...aside, name: shortened(objectives[0][0], 30), nameGap: 44, scale: true, axisLabel: { formatter: short } }),
      dataZoom: zoomable("xAxisIndex"),
      tooltip: {
        trigger: "item",
        formatter: ({ data: { trial: [number, , ...values] } }) =>
          [`trial ${number}`, ...objectives.map(([name], at) => `${name} ${short(values[at])}`)].join("\n"),
      },
      series: [points, best],
    }),
  };
}

function bestSoFar([[, goal]], trials) {
  const better = goal === "maximize" ? Math.max : Math.min;
  let best = trials[0][2];
  const steps = trials.map((trial) => ({ value: [trial[0], (best = better(best, trial[2]))], trial }));
  return [
    { type: "scatter", name: "trial", symbolSize: 9, color: color("run-0"), data: trials.map((trial) => ({ value: [trial[0], trial[2]], trial })) },
    { type: "line", name: "best so far", color: color("run-1"), step: "end", symbol: "none", silent: true, data: steps },
    { name: "trial", minInterval: 1, min: ({ min }) => min - 1, max: ({ max }) => max + 1, splitLine: { show: false } },
  ];
}

/* From here on a logarithmic axis tells values apart, as in pareto.png. */
function isWide(values) {
  const least = Math.min(...values);
  return least > 0 && Math.max(...values) >= 20 * least;
}

function front([, [second]], trials) {
  const those = (on) => trials.filter((trial) => trial[1] === on).map((trial) => ({ value: [trial[3], trial[2]], trial }));
  return [
    { type: "scatter", name: "beaten", symbolSize: 9, color: color("muted"), data: those(false) },
    { type: "scatter", name: "beaten by no other", symbol: "diamond", symbolSize: 13, color: color("run-1"), data: those(true) },
    { name: second, scale: true, type: isWide(trials.map((trial) => trial[3])) ? "log" : "value" },
  ];
}

/* What was drawn while it was folded away has no width. */
function listenToSweeps() {
  for (const details of document.querySelectorAll("details.sweep")) {
    const id = details.querySelector(".plot")?.id;
    details.addEventListener("toggle", () => details.open && charts.has(id) && redraw(id));
  }
}
