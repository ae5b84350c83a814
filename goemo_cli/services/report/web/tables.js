/* Tables: sorting, saving as CSV, and marks at the sides to which they scroll. */

/* A column is sorted by its numbers if it has some, best first; by text otherwise. */
function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    if ("still" in heading.dataset) return;
    const button = element("button", { type: "button" });
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, column, heading));
  });
}

function sortBy(table, column, heading) {
  const isNumber = heading.classList.contains("number");
  const before = heading.getAttribute("aria-sort");
  const order = before ? (before === "ascending" ? "descending" : "ascending") : isNumber ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, key: keyOf(row.cells[column], isNumber) }));
  rows.sort((a, b) => compare(a.key, b.key, sign));
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

function keyOf(cell, isNumber) {
  if (!isNumber) return cell.textContent.trim();
  return cell.dataset.value ? Number(cell.dataset.value) : null;
}

/* Undefined values are last in both orders. */
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "string" ? a.localeCompare(b, "en") : a - b);
}

/* The table as rows of texts and numbers: exact values, and the ends of an interval in two more columns. */
function rowsOf(table) {
  const body = [...table.tBodies[0].rows];
  const headings = [...table.tHead.rows[0].cells];
  const hasEnds = headings.map((_, at) => body.some((row) => "low" in (row.cells[at]?.dataset ?? {})));
  const hasValue = (at) => !hasEnds[at] || body.some((row) => "value" in (row.cells[at]?.dataset ?? {}));
  const header = headings.flatMap((heading, at) => {
    const name = heading.textContent.replace(/\s+/g, " ").trim();
    return [...(hasValue(at) ? [name] : []), ...(hasEnds[at] ? [`${name} low`, `${name} high`] : [])];
  });
  const cells = (row) =>
    [...row.cells].flatMap((cell, at) => {
      const value = cell.dataset.value ?? cell.textContent.replace(/\s+/g, " ").trim();
      return [...(hasValue(at) ? [value] : []), ...(hasEnds[at] ? [cell.dataset.low ?? "", cell.dataset.high ?? ""] : [])];
    });
  return [header, ...body.map(cells)];
}

/* RFC 4180, in UTF-8 with a mark that spreadsheets need. A text that a spreadsheet would run gets an apostrophe. */
function saveCsv(rows, name) {
  const field = (value) => {
    let text = String(value);
    if (/^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) && !Number.isFinite(Number(text))) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const text = rows.map((row) => row.map(field).join(",")).join("\r\n");
  saveFile(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" }), `${name}.csv`);
}

function fileName(title) {
  return title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "table";
}

function addCsvButton(panel) {
  const title = panel.querySelector("h3").textContent;
  const button = element("button", { type: "button", title: "Save as CSV", "aria-label": `Save as CSV: ${title}` }, "CSV");
  button.addEventListener("click", () => saveCsv(rowsOf(panel.querySelector("table")), fileName(title)));
  const box = element("div", { class: "tools" });
  box.append(button);
  panel.querySelector(".head").after(box);
}

/* Which sides of a box hide a part of its content. */
function markHidden(box) {
  const right = box.scrollWidth - box.clientWidth - box.scrollLeft;
  const sides = [...(box.scrollLeft > 1 ? ["left"] : []), ...(right > 1 ? ["right"] : [])];
  box.dataset.more = sides.join(" ");
  box.closest(".panel")?.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1);
}

function listenToTables() {
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  document.querySelectorAll(".panel:has(> .scroll > table)").forEach(addCsvButton);
  const sized = new ResizeObserver((entries) => entries.forEach(({ target }) => markHidden(target.closest(".scroll"))));
  for (const box of document.querySelectorAll(".scroll")) {
    box.addEventListener("scroll", () => markHidden(box), { passive: true });
    sized.observe(box);
    if (box.firstElementChild) sized.observe(box.firstElementChild);
  }
}
