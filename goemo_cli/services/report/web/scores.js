"use strict";
/* Decoding and counting: the numbers of goemo's Python, from the same float32 and with the same comparison (>=). */

const DATA = JSON.parse(document.getElementById("data").textContent);
const LABELS = DATA.labels;
const N_LABELS = LABELS.length;
const N_ROWS = DATA.texts.length;
const TERMS = DATA.terms;

function bytesOf(base64) {
  const raw = atob(base64);
  const bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
  return bytes;
}

/* Bits, the highest of a byte first, as one byte per cell. */
function bitsOf(base64, count) {
  const packed = bytesOf(base64);
  const bits = new Uint8Array(count);
  for (let at = 0; at < count; at++) bits[at] = (packed[at >> 3] >> (7 - (at & 7))) & 1;
  return bits;
}

function floatsOf(base64) {
  const view = new DataView(bytesOf(base64).buffer);
  const floats = new Float32Array(view.byteLength / 4);
  for (let at = 0; at < floats.length; at++) floats[at] = view.getFloat32(4 * at, true);
  return floats;
}

/* What `make` gives, made at the first call. */
function once(make) {
  let kept;
  return () => (kept ??= make());
}

/* The same for each of several keys. */
function perKey(make) {
  const kept = new Map();
  return (key) => {
    if (!kept.has(key)) kept.set(key, make(key));
    return kept.get(key);
  };
}

const gold = once(() => bitsOf(DATA.gold, N_ROWS * N_LABELS));

const goldTogether = once(() => countTogether(gold()));

const RUNS = DATA.runs.map((run, at) => {
  const prob = once(() => floatsOf(run.prob));
  return {
    ...run,
    isScored: run.prob !== null,
    prob,
    pred: once(() => bitsOf(run.pred, N_ROWS * N_LABELS)),
    sorted: once(() => sortedColumns(prob())),
    losses: once(() => rowLosses(prob())),
    curve: perKey((label) => labelCurve(RUNS[at], label)),
    together: once(() => countTogether(RUNS[at].pred())),
  };
});

/* Of each label: all probabilities and those of its gold texts, ascending. */
function sortedColumns(prob) {
  return LABELS.map((_, label) => {
    const all = new Float32Array(N_ROWS);
    const positives = [];
    for (let row = 0; row < N_ROWS; row++) {
      all[row] = prob[row * N_LABELS + label];
      if (gold()[row * N_LABELS + label]) positives.push(all[row]);
    }
    return { all: all.sort(), gold: Float32Array.from(positives).sort() };
  });
}

/* How many of ascending numbers are at least a threshold. */
function atLeast(sorted, threshold) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] >= threshold) high = middle;
    else low = middle + 1;
  }
  return sorted.length - low;
}

function ratio(part, whole) {
  return whole ? part / whole : 0;
}

function scoresOf(hits, predicted, support) {
  return {
    hits, predicted, support,
    precision: ratio(hits, predicted), recall: ratio(hits, support), f1: ratio(2 * hits, predicted + support),
  };
}

function labelScores(run, label, threshold) {
  const column = run.sorted()[label];
  return scoresOf(atLeast(column.gold, threshold), atLeast(column.all, threshold), column.gold.length);
}

/* Scores of test with one threshold per label: of each label, their mean (macro), and of all cells (micro). */
function measure(run, thresholds) {
  const labels = LABELS.map((_, label) => labelScores(run, label, thresholds[label]));
  const sum = (key) => labels.reduce((total, one) => total + one[key], 0);
  const mean = (key) => sum(key) / N_LABELS;
  return {
    labels,
    macro: { precision: mean("precision"), recall: mean("recall"), f1: mean("f1") },
    micro: scoresOf(sum("hits"), sum("predicted"), sum("support")),
  };
}

/* Cross-entropy of each text over its labels, in nats, as `goemo errors` ranks texts. */
function rowLosses(prob) {
  const losses = new Float64Array(N_ROWS);
  const truth = gold();
  for (let cell = 0; cell < prob.length; cell++) {
    const p = Math.min(Math.max(prob[cell], 1e-7), 1 - 1e-7);
    losses[Math.floor(cell / N_LABELS)] -= truth[cell] ? Math.log(p) : Math.log1p(-p);
  }
  return losses;
}

/* The precision-recall curve of cells: [recall, precision, threshold] at each different probability, highest first. */
function precisionRecall(probabilities, truths) {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
  const support = truths.reduce((sum, one) => sum + one, 0);
  const points = [];
  let hits = 0;
  for (let k = 0; k < order.length; k++) {
    hits += truths[order[k]];
    const probability = probabilities[order[k]];
    if (k + 1 < order.length && probabilities[order[k + 1]] === probability) continue;
    points.push([ratio(hits, support), hits / (k + 1), probability]);
  }
  return points;
}

/* The area below its steps, as scikit-learn's average_precision_score; null without gold texts. */
function averagePrecision(points) {
  if (!points.length || points.at(-1)[0] === 0) return null;
  let before = 0;
  let area = 0;
  for (const [recall, precision] of points) {
    area += (recall - before) * precision;
    before = recall;
  }
  return area;
}

/* A label's curve, or that of all cells together (label -1). */
function labelCurve(run, label) {
  const prob = run.prob();
  if (label < 0) return precisionRecall(prob, gold());
  const column = (cells) => Array.from({ length: N_ROWS }, (_, row) => cells[row * N_LABELS + label]);
  return precisionRecall(Float32Array.from(column(prob)), column(gold()));
}

/* Row i, column j: texts with both labels. */
function countTogether(cells) {
  const counts = LABELS.map(() => new Uint32Array(N_LABELS));
  for (let row = 0; row < N_ROWS; row++) {
    const labels = labelsWhere(cells, row);
    for (const i of labels) for (const j of labels) counts[i][j] += 1;
  }
  return counts;
}

function labelsWhere(cells, row) {
  const labels = [];
  for (let label = 0; label < N_LABELS; label++) if (cells[row * N_LABELS + label]) labels.push(label);
  return labels;
}
