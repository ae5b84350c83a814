"use strict";
const at = (id) => document.getElementById(id);

async function ask(path, body) {
  const headers = {};
  if (at("token").value) headers.authorization = `Bearer ${at("token").value}`;
  if (body) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  if (answer.status === 401) at("token-field").hidden = false;
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  return found;
}

let known = false;
async function showModel() {
  const model = await ask("model");
  if (known) return;
  known = true;
  at("model").textContent = `${model.run} (${model.engine}, ${model.precision}), ${model.labels.length} labels`;
  for (const name of Object.keys(model.taxonomies)) {
    const option = document.createElement("option");
    option.value = option.textContent = name;
    at("taxonomy").append(option);
  }
  at("calibrated-field").hidden = !model.has_calibrator;
}

function request() {
  const body = { text: at("text").value };
  if (at("taxonomy").value) body.taxonomy = at("taxonomy").value;
  if (at("threshold").value !== "") body.threshold = Number(at("threshold").value);
  if (at("calibrated").checked) body.calibrated = true;
  return body;
}

function cell(kind, text) {
  const element = document.createElement(kind);
  element.textContent = text;
  return element;
}

function rowOf(label, probability, isPredicted) {
  const row = document.createElement("tr");
  if (isPredicted) row.className = "predicted";
  const name = cell("th", label), number = cell("td", probability.toFixed(3)), share = cell("td", "");
  name.scope = "row";
  number.className = "number";
  share.className = "share";
  const meter = document.createElement("meter");
  meter.value = probability;
  meter.setAttribute("aria-hidden", "true");
  share.append(meter);
  row.append(name, number, share);
  return row;
}

function showAnswer(prediction) {
  const ranked = Object.entries(prediction.pred_prob).sort((one, other) => other[1] - one[1]);
  at("labels").textContent = prediction.pred_labels.join(", ") || "no label";
  at("rows").replaceChildren(
    ...ranked.map(([label, probability]) => rowOf(label, probability, prediction.pred_labels.includes(label))),
  );
  at("answer").hidden = false;
}

function showCurl() {
  const quoted = JSON.stringify(request()).replaceAll("'", "'\\''");
  const address = new URL("predict", location.href).href;
  const token = at("token-field").hidden ? "" : ' -H "Authorization: Bearer $GOEMO_TOKEN"';
  at("curl").textContent = `curl ${address}${token} -H 'Content-Type: application/json' -d '${quoted}'`;
}

at("form").addEventListener("input", showCurl);
at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("fault").textContent = "";
  try {
    await showModel();
    showAnswer((await ask("predict", request())).predictions[0]);
  } catch (error) {
    at("answer").hidden = true;
    at("fault").textContent = error.message;
  }
  showCurl();
});
showModel().catch((error) => { at("model").textContent = error.message; }).finally(showCurl);
