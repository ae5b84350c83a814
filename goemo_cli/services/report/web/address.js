/* The address of the page keeps the section, the run and the filters: #texts&run=NAME&gold=joy. */

const SECTIONS = [...document.querySelectorAll("main > section")];
const KEPT = {
  label: "explore-label", curve: "curve-label", reliability: "reliability-label", together: "together-what", by: "curves-by",
  find: "find-text", gold: "find-gold", predicted: "find-predicted", kind: "find-kind", order: "find-order",
};
const address = { section: "" };

/* A choice is named by its text if it is a label, by its value otherwise. */
function textOfControl(control) {
  const option = control.selectedOptions?.[0];
  return option ? (/^\d+$/.test(option.value) ? option.textContent : option.value) : control.value;
}

function setControl(control, text) {
  if (!control.options) control.value = text;
  else control.selectedIndex = Math.max(0, [...control.options].findIndex((one) => one.textContent === text || one.value === text));
}

function writeAddress() {
  const state = [];
  if (page.run) state.push(["run", RUNS[page.run].name]);
  for (const [name, id] of Object.entries(KEPT)) {
    const control = document.getElementById(id);
    const isDefault = control.options ? control.selectedIndex === 0 : !control.value;
    if (!isDefault) state.push([name, textOfControl(control)]);
  }
  if (!state.length && (!address.section || address.section === SECTIONS[0].id)) return setAddress(location.hash ? "#overview" : "");
  setAddress(`#${[address.section || SECTIONS[0].id, ...state.map(([name, text]) => `${name}=${encodeURIComponent(text)}`)].join("&")}`);
}

function setAddress(hash) {
  if (hash === location.hash) return;
  try {
    history.replaceState(null, "", hash || location.pathname);
  } catch {
    /* a page in a frame without an address */
  }
}

/* Follow the address: an address without choices keeps those that are made. */
function readAddress() {
  const [section, ...parts] = location.hash.slice(1).split("&");
  if (parts.length) {
    const state = Object.fromEntries(parts.map((part) => part.split("=").map(decoded)));
    for (const [name, id] of Object.entries(KEPT)) setControl(document.getElementById(id), state[name] ?? "");
    showRun(Math.max(0, RUNS.findIndex((run) => run.name === state.run)));
  }
  const target = SECTIONS.find((one) => one.id === section);
  if (!target) return;
  address.section = section;
  if (parts.length) target.scrollIntoView({ behavior: "instant" });
  showPlace();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/* Mark the section in view in the list of sections. */
function showPlace() {
  for (const link of document.querySelectorAll("#sections a")) {
    if (link.hash === `#${address.section || SECTIONS[0].id}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  writeAddress();
}

function listenToAddress() {
  const inView = new Set();
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) isIntersecting ? inView.add(target) : inView.delete(target);
      const now = SECTIONS.find((one) => inView.has(one));
      if (!now || now.id === address.section) return;
      address.section = now.id;
      showPlace();
    },
    { rootMargin: "-25% 0px -65% 0px" },
  );
  for (const section of SECTIONS) seen.observe(section);
  window.addEventListener("hashchange", readAddress);
  document.addEventListener("change", writeAddress);
  document.getElementById("browser").addEventListener("input", writeAddress);
}
