// One narrative as the reviewer sees it: image, trace and boxes; words that light up as they are spoken; its ALPs.

import { timeColor } from "./color.js";
import { byId, make } from "./dom.js";
import { Player } from "./player.js";

const WEAK = 0.5; // confidence below which a word's line is dotted
const CLOCK_DOUBT = 200; // ms

/** @typedef {{text: string, char_start: number, char_end: number, start: number, end: number, confidence: number}} Word */
/** @typedef {{phrase: string, box: number[], t_start: number, t_end: number, score: number, component: number}} Alp */

export class NarrativeView {
  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.player = new Player(() => this.tick());
    /** @type {any} */
    this.narrative = null;
    /** @type {[HTMLElement, Word][]} */
    this.words = [];
    /** @type {[HTMLElement[], Alp][]} */
    this.alps = [];
    this.lit = -1;
    stage.repaint = () => this.tick();
  }

  clear() {
    this.player.pause();
    this.narrative = null;
    this.stage.boxes.replaceChildren();
    this.stage.clear();
    this.stage.show(null, { width: 4, height: 3, id: "" });
  }

  /** @param {any} narrative @param {Blob} sound @param {Blob | null} picture */
  async show(narrative, sound, picture) {
    this.narrative = narrative;
    this.lit = -1;
    byId("narrative").hidden = false;
    byId("image-name").textContent = narrative.image.id;
    this.showFlag();
    this.drawWords();
    this.drawAlps();
    await this.stage.show(picture, narrative.image, picture ? "" : "The image is gone.");
    await this.player.load(sound, narrative.seconds);
  }

  /** Says what is wrong with it, and what is known of it. */
  showFlag() {
    const { outcome, decision, note, clock, name, seconds, received, state } = this.narrative;
    /** @type {string[]} */
    const lines = [];
    if (state === "waiting") lines.push("Its words have no times yet.");
    if (outcome && outcome.state === "flagged") lines.push(`Flagged, and left out: ${outcome.detail || outcome.reason}.`);
    if (decision === "returned") lines.push(`Returned: ${note}`);
    if (clock.end_ms !== null && Math.abs(clock.end_ms) > CLOCK_DOUBT) lines.push(`Sound and pointer may be ${Math.abs(clock.end_ms / 1000).toFixed(1)} s apart at the end: some sound was lost.`);
    byId("flag").hidden = !lines.length;
    byId("flag").textContent = lines.join(" ");
    const points = this.narrative.traces.reduce((/** @type {number} */ sum, /** @type {any[]} */ segment) => sum + segment.length, 0);
    const confidence = outcome && outcome.words.length ? `, confidence ${outcome.confidence.toFixed(2)}` : "";
    byId("details").textContent = `${name}, ${received.slice(0, 16).replace("T", " ")} UTC: ${seconds.toFixed(1)} s, ${points} points in ${this.narrative.traces.length} segments${confidence}.`;
  }

  /** The caption, each timed word a button that plays from it. */
  drawWords() {
    const { caption, outcome, seconds } = this.narrative;
    const letters = Array.from(/** @type {string} */ (caption)); // offsets count code points
    this.words = [];
    const parts = [];
    let at = 0;
    for (const word of /** @type {Word[]} */ (outcome ? outcome.words : [])) {
      if (word.char_start < at) continue;
      parts.push(letters.slice(at, word.char_start).join(""));
      const element = make("button", word.confidence < WEAK ? "word weak" : "word", letters.slice(word.char_start, word.char_end).join(""));
      element.type = "button";
      element.style.setProperty("--c", timeColor((word.start + word.end) / 2, seconds));
      element.title = `${word.start.toFixed(2)} to ${word.end.toFixed(2)} s, confidence ${word.confidence.toFixed(2)}`;
      element.addEventListener("click", () => this.player.seek(word.start));
      this.words.push([element, word]);
      parts.push(element);
      at = word.char_end;
    }
    parts.push(letters.slice(at).join(""));
    byId("words").replaceChildren(...parts);
  }

  drawAlps() {
    const { outcome, seconds } = this.narrative;
    this.alps = [];
    const boxes = [], chips = [];
    for (const [index, alp] of /** @type {Alp[]} */ (outcome ? outcome.alps : []).entries()) {
      const color = timeColor((alp.t_start + alp.t_end) / 2, seconds);
      const box = make("div", "box");
      const [left, top, right, bottom] = alp.box.map((side) => 100 * side);
      for (const [name, value] of Object.entries({ left, top, width: right - left, height: bottom - top })) box.style.setProperty(name, `${value}%`);
      box.style.setProperty("--c", color);
      const item = make("li"), chip = make("button", "", `${alp.phrase}${alp.component ? ` (${alp.component + 1})` : ""}`);
      chip.type = "button";
      chip.title = `quality ${alp.score.toFixed(2)}, ${alp.t_start.toFixed(1)} to ${alp.t_end.toFixed(1)} s`;
      chip.setAttribute("aria-pressed", "false");
      chip.style.setProperty("--c", color);
      chip.addEventListener("click", () => this.light(this.lit === index ? -1 : index));
      item.append(chip);
      boxes.push(box);
      chips.push(item);
      this.alps.push([[box, chip], alp]);
    }
    this.stage.boxes.replaceChildren(...boxes);
    byId("alps").replaceChildren(...chips);
  }

  /** Lights one ALP: its box and its part of the trace. @param {number} index -1 for all */
  light(index) {
    this.lit = index;
    this.alps.forEach(([[box, chip]], each) => {
      box.classList.toggle("faint", index >= 0 && each !== index);
      chip.setAttribute("aria-pressed", String(each === index));
    });
    this.tick();
  }

  /** Draws the trace as of now, and lights the words that are heard. */
  tick() {
    if (!this.narrative) return;
    const { time, length, playing } = this.player;
    const lit = this.lit >= 0 ? this.alps[this.lit][1] : null;
    this.stage.drawAt(this.narrative.traces, length || this.narrative.seconds, time, lit && !playing ? [lit.t_start, lit.t_end] : null);
    for (const [element, word] of this.words) element.classList.toggle("now", time < length && time >= word.start && time < word.end);
  }
}
