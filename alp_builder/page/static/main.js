// Puts the page together.
"use strict";

/** @type {Stage[]} */
let stages = [];

/** Stages for what the current image has: side by side, or all on one. */
function setUpStages() {
  const narrative = currentNarrative();
  const image = narrative ? PAGE.images[narrative.image] : null;
  /** @type {[string, Kind][]} */
  const panes = [];
  if (narrative && (narrative.alps || !image || !(image.predictions || image.truth))) panes.push(["ALPs", "alps"]);
  if (image && image.predictions) panes.push(["Predictions", "predictions"]);
  if (image && image.truth) panes.push(["Truth", "truth"]);
  const wanted = /** @type {[string, Kind[]][]} */ (
    !state.layers.panes ? [["", panes.map(([, kind]) => kind)]]
      : panes.map(([title, kind]) => [panes.length > 1 || kind !== "alps" ? title : "", [kind]])
  );
  const key = JSON.stringify(wanted);
  const parent = byId("stages");
  if (parent.dataset.key !== key) {
    for (const stage of stages) stage.remove();
    stages = wanted.map(([title, kinds]) => new Stage(parent, title, kinds));
    parent.dataset.key = key;
    parent.style.setProperty("--panes", String(wanted.length));
    byId("viewer").classList.toggle("many", wanted.length > 1);
  }
}

function drawCurrent() {
  const narrative = currentNarrative();
  byId("empty").hidden = narrative !== null;
  byId("viewer").classList.toggle("has-none", narrative === null);
  tellPlace();
  if (!narrative) return;
  setUpStages();
  for (const stage of stages) stage.draw();
  byId("heading").textContent = visible(narrative.image_id);
  const chips = [narrative.dataset, narrative.split, narrative.annotator && `annotator ${narrative.annotator}`].filter(Boolean);
  byId("chips").replaceChildren(...chips.map((text) => make("bdi", "chip", visible(String(text)))));
  if (/^simulated/i.test(narrative.dataset)) byId("chips").append(make("span", "chip simulated", "simulated"));
  try {
    history.replaceState(null, "", `#${state.current}`);
  } catch { /* a frame may forbid it */ }
}

/** What a reader of this page must know of its traces. */
const TRACE_NOTES = {
  none: "Boxes only: there are no traces here (see Help, This page).",
  boxes: "Traces show where the pointer dwelt; its way between (dotted) is not in the shards.",
  whole: "",
};

function tellPlace() {
  const place = state.shown.indexOf(state.current);
  byId("place").textContent = place < 0 ? "" : `${(place + 1).toLocaleString("en")} / ${state.shown.length.toLocaleString("en")}`;
  byId("previous").disabled = place <= 0;
  byId("next").disabled = place < 0 || place >= state.shown.length - 1;
}

function main() {
  document.title = visible(PAGE.title);
  byId("title").textContent = visible(PAGE.title);
  byId("about").append(...PAGE.about.map((text) => make("li", "", visible(text))));
  const note = PAGE.narratives.some((n) => n.alps) ? TRACE_NOTES[/** @type {"none"} */ (PAGE.traces)] || "" : "";
  byId("trace-note").textContent = note;
  byId("trace-note").hidden = !note;
  setUpTheme();
  setUpLayers();
  new Caption(byId("caption"));
  new Details(byId("details"));
  new NarrativeList(byId("list"), byId("list-inner"));
  const player = new Player();
  watch("current", drawCurrent);
  watch("shown", () => {
    tellPlace();
    for (const stage of stages) stage.mark();
  });
  watch("lit", () => stages.forEach((stage) => (stage.mark(), stage.paint())));
  watch("time", () => stages.forEach((stage) => (stage.mark(), stage.paint())));
  watch("layers", drawCurrent);
  setUpKeys(player);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  byId("browse-button").addEventListener("click", () => {
    const isOpen = document.body.classList.toggle("browsing");
    byId("browse-button").setAttribute("aria-expanded", String(isOpen));
  });
  const asked = Number(location.hash.slice(1));
  if (location.hash && Number.isInteger(asked) && asked >= 0 && asked < PAGE.narratives.length) state.current = asked;
  setUpFilters();
  if (state.current >= 0) goTo(state.current);
}

main();
