// Search, filters, layers, theme: from form to state.
"use strict";

const LAYERS = [
  ["boxes", "Boxes", () => true],
  ["trace", "Trace", () => PAGE.traces !== "none"],
  ["labels", "Labels", () => true],
  ["tight", "Tight boxes", () => PAGE.narratives.some((n) => n.alps)],
  ["calibrated", "Calibrated boxes", () => PAGE.narratives.some((n) => (n.alps || []).some((a) => a.calibrated))],
  ["masks", "Masks", () => PAGE.images.some((i) => [...(i.predictions || []), ...(i.truth || [])].some((t) => t.mask))],
  ["panes", "Side by side", () => PAGE.images.some((i) => i.predictions || i.truth)],
];

/** Fills the form and listens to it. */
function setUpFilters() {
  fillSelect("dataset", PAGE.narratives.map((n) => n.dataset));
  fillSelect("split", PAGE.narratives.map((n) => n.split || ""));
  const form = byId("filters");
  const search = byId("search");
  const read = () => {
    state.filter = {
      search: search.value.trim().toLowerCase(),
      least: Number(byId("least").value),
      dataset: byId("dataset").value,
      split: byId("split").value,
      plural: byId("plural").value,
      flag: byId("flag").value,
      order: byId("order").value,
    };
    byId("least-value").textContent = state.filter.least.toFixed(2);
    applyFilter();
  };
  form.addEventListener("input", read);
  form.addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => {
    search.value = "";
    read();
  }));
  search.addEventListener("input", read);
  watch("shown", tellCount);
  read();
}

/** How many narratives and ALPs are shown. */
function tellCount() {
  const alps = state.shown.reduce((sum, i) => sum + (PAGE.narratives[i].alps || []).filter((alp) => alpFits(alp, state.filter)).length, 0);
  const all = PAGE.narratives.length.toLocaleString("en");
  const shown = state.shown.length.toLocaleString("en");
  const what = PAGE.narratives.some((n) => n.caption) ? "narratives" : "images";
  byId("count").textContent = `${shown === all ? all : `${shown} of ${all}`} ${what}${alps ? `, ${alps.toLocaleString("en")} ALPs` : ""}`;
}

/**
 * Options of a select out of the data; hidden where there is no choice.
 * @param {string} id
 * @param {string[]} values
 */
function fillSelect(id, values) {
  const distinct = [...new Set(values)].filter(Boolean).sort();
  byId(`${id}-field`).hidden = distinct.length < 2;
  const select = byId(id);
  const any = make("option", "", "all");
  any.value = "";
  select.append(any);
  for (const value of distinct.slice(0, 500)) {
    const option = make("option", "", visible(value));
    option.value = value;
    select.append(option);
  }
}

/** Check boxes of layers, and the threshold of predictions. */
function setUpLayers() {
  const field = byId("layers");
  for (const [name, title, isThere] of /** @type {[string, string, () => boolean][]} */ (LAYERS)) {
    if (!isThere()) continue;
    const box = make("input", "");
    box.type = "checkbox";
    box.checked = state.layers[name];
    box.id = `layer-${name}`;
    box.addEventListener("change", () => {
      state.layers[name] = box.checked;
      changed("layers");
    });
    field.append(make("label", "layer", box, title));
  }
  if (!PAGE.images.some((i) => i.predictions && i.predictions.length)) return;
  const slider = make("input", "");
  Object.assign(slider, { type: "range", min: "0", max: "1", step: "0.05", value: String(state.threshold), id: "threshold" });
  const value = make("output", "", state.threshold.toFixed(2));
  slider.addEventListener("input", () => {
    state.threshold = Number(slider.value);
    value.textContent = state.threshold.toFixed(2);
    changed("layers");
  });
  field.append(make("label", "layer", "Predictions from", slider, value));
}

const THEMES = ["auto", "light", "dark"];

/** The system's theme, or a chosen one, which is remembered where the browser lets a file remember. */
function setUpTheme() {
  const button = byId("theme-button");
  let theme = "auto";
  try {
    theme = THEMES.find((name) => name === localStorage.getItem("alps-theme")) || "auto";
  } catch { /* no memory here */ }
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try {
      localStorage.setItem("alps-theme", theme);
    } catch { /* no memory here */ }
    apply();
  });
  apply();
}
