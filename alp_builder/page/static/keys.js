// The keyboard.
"use strict";

const SEEK_STEP = 0.5;
const PAGE_STEP = 8;

/** @param {Player} player */
function setUpKeys(player) {
  /** @type {Record<string, () => void>} */
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    " ": () => player.toggle(),
    ArrowLeft: () => seek(state.time - SEEK_STEP),
    ArrowRight: () => seek(state.time + SEEK_STEP),
    "[": () => pinNext(-1),
    "]": () => pinNext(1),
    "/": () => {
      document.body.classList.remove("browsing");
      byId("search").focus();
    },
    "?": () => byId("help").showModal(),
    Escape: () => {
      state.lit = state.pinned = null;
      changed("lit");
    },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "Escape" && target.id === "search") return target.blur();
    if (target.closest("input, select, textarea")) return;
    if (event.key === " " && target.closest("button")) return; // presses the button
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  byId("list").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const last = state.shown.length - 1;
    const place = state.shown.indexOf(state.current);
    /** @type {Record<string, number>} */
    const places = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: last, PageDown: place + PAGE_STEP, PageUp: place - PAGE_STEP };
    if (event.key === "Enter") document.body.classList.remove("browsing");
    if (!(event.key in places) || last < 0) return;
    event.preventDefault();
    goTo(state.shown[Math.min(Math.max(places[event.key], 0), last)]);
  });
}

/** Pins the next ALP that fits the filter. @param {number} by */
function pinNext(by) {
  const narrative = currentNarrative();
  const alps = (narrative && narrative.alps) || [];
  const fitting = alps.map((_, i) => i).filter((i) => !alps[i].component && alpFits(alps[i], state.filter));
  if (!fitting.length) return;
  const now = state.pinned && state.pinned.kind === "alps" ? fitting.indexOf(state.pinned.index) : by > 0 ? -1 : 0;
  state.lit = null;
  state.pinned = { kind: "alps", index: fitting[(now + by + fitting.length) % fitting.length] };
  changed("lit");
}
