// What the page shows at this moment, and who is told when it changes.
"use strict";

/**
 * @typedef {{kind: "alps" | "predictions" | "truth", index: number}} Lit something that is lit
 *
 * @typedef {Object} State
 * @property {Filter} filter
 * @property {number[]} shown indices of narratives
 * @property {number} current index of a narrative, -1 where none fits
 * @property {Lit | null} lit pointed at or focused now
 * @property {Lit | null} pinned stays lit
 * @property {number} time
 * @property {boolean} playing
 * @property {number} speed
 * @property {Record<string, boolean>} layers
 * @property {number} threshold of predictions
 */

/** @type {State} */
const state = {
  filter: { ...NO_FILTER },
  shown: [],
  current: -1,
  lit: null,
  pinned: null,
  time: 0,
  playing: false,
  speed: 1,
  layers: { boxes: true, trace: true, labels: true, tight: false, calibrated: false, masks: true, panes: true },
  threshold: 0.3,
};

/**
 * Subjects a part of the page may watch:
 * `shown` (which narratives), `current` (which of them), `lit`, `time`, `playing`, `layers`.
 * @type {Record<string, (() => void)[]>}
 */
const watchers = { shown: [], current: [], lit: [], time: [], playing: [], layers: [] };

/** @param {string} subject @param {() => void} tell */
function watch(subject, tell) {
  watchers[subject].push(tell);
}

/** @param {string} subject */
function changed(subject) {
  for (const tell of watchers[subject]) tell();
}

/** The narrative shown, or null. */
function currentNarrative() {
  return PAGE.narratives[state.current] || null;
}

/** The narrative's time, or null. */
function currentSpan() {
  const narrative = currentNarrative();
  return narrative && spanOfTime(narrative);
}

/** What is lit: what is pointed at, else what is pinned. */
function litNow() {
  return state.lit || state.pinned;
}

/** @param {Lit | null} a @param {Lit | null} b */
function sameLit(a, b) {
  return a === b || Boolean(a && b && a.kind === b.kind && a.index === b.index);
}

/** @param {Lit | null} lit */
function light(lit) {
  if (sameLit(lit, state.lit)) return;
  state.lit = lit;
  changed("lit");
}

/** Pins what is lit, or lets it go. @param {Lit | null} lit */
function pin(lit) {
  state.pinned = lit && sameLit(lit, state.pinned) ? null : lit;
  if (!state.pinned) state.lit = null;
  changed("lit");
}

/** Applies the filter; stays on the narrative shown if it still fits. */
function applyFilter() {
  state.shown = chooseNarratives(state.filter);
  if (!state.shown.includes(state.current)) goTo(state.shown.length ? state.shown[0] : -1);
  changed("shown");
}

/** @param {number} index of a narrative */
function goTo(index) {
  state.current = index;
  state.lit = state.pinned = null;
  state.playing = false;
  const span = currentSpan();
  state.time = span ? span[1] : 0;
  changed("current");
  changed("playing");
}

/** @param {number} steps through the narratives shown */
function step(steps) {
  const place = state.shown.indexOf(state.current) + steps;
  if (place >= 0 && place < state.shown.length) goTo(state.shown[place]);
}

/** @param {number} time */
function seek(time) {
  const span = currentSpan();
  if (!span) return;
  state.time = Math.min(Math.max(time, span[0]), span[1]);
  changed("time");
}

/**
 * Makes an element light and pin something.
 * @param {HTMLElement} element
 * @param {Lit} lit
 */
function lightsOn(element, lit) {
  element.addEventListener("pointerenter", () => light(lit));
  element.addEventListener("pointerleave", () => light(null));
  element.addEventListener("focus", () => light(lit));
  element.addEventListener("blur", () => light(null));
  element.addEventListener("click", () => pin(lit));
}
