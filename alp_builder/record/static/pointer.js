// Follows mouse, pen, finger or arrow keys over the stage while a recording runs.
//
// Every event carries the instant it happened on the clock of performance.now(); a browser hands out several
// moves at once (coalesced events), each with its own. Leaving the band ends a segment. A finger keeps sending
// events to where it began, wherever it goes: so where a point lies decides, not what element it is over.

import { Trace, drawPointer } from "./trace.js";

const KEY_STEP = 0.02;
const FINE_STEP = 0.004;
const LIVE = "rgb(255 92 72)";
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class PointerTracker {
  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.trace = new Trace();
    this.zero = 0;
    this.running = false;
    /** @type {{x: number, y: number, inside: boolean} | null} where the pointer was seen last */
    this.seen = null;
    this.drawn = { segment: 0, point: 0 };
    this.frame = 0;
    const area = stage.element;
    for (const kind of ["pointermove", "pointerdown", "pointerenter"]) area.addEventListener(kind, (/** @type {any} */ event) => this.take(event));
    for (const kind of ["pointerleave", "pointercancel"]) area.addEventListener(kind, () => this.leave());
    // A lifted finger is gone; a mouse button let go is not.
    area.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => event.pointerType === "touch" && this.leave());
    area.addEventListener("contextmenu", (/** @type {Event} */ event) => this.running && event.preventDefault());
  }

  /** Starts a trace. @param {number} zero the recording's zero, in milliseconds of performance.now() */
  start(zero) {
    this.trace = new Trace();
    this.zero = zero;
    this.running = true;
    this.drawn = { segment: 0, point: 0 };
    this.stage.element.classList.add("recording");
    this.stage.clear();
    this.stage.repaint = () => this.paint(true);
    // A pointer that rests where it is sends nothing, yet it points.
    if (this.seen && this.seen.inside) this.trace.add(this.seen.x, this.seen.y, 0);
    const draw = () => {
      this.paint(false);
      this.frame = requestAnimationFrame(draw);
    };
    draw();
  }

  /** Ends the trace. @returns {Trace} */
  stop() {
    this.running = false;
    this.trace.leave();
    cancelAnimationFrame(this.frame);
    this.stage.element.classList.remove("recording");
    return this.trace;
  }

  /** @param {PointerEvent} event */
  take(event) {
    if (!event.isPrimary) return;
    const moves = event.type === "pointermove" && event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const each of moves.length ? moves : [event]) this.put(this.stage.locate(each.clientX, each.clientY), each.timeStamp);
  }

  /** @param {{x: number, y: number, inside: boolean}} place @param {number} instant */
  put(place, instant) {
    this.seen = place;
    if (!this.running) return;
    const t = (instant - this.zero) / 1000;
    if (!place.inside) return this.trace.leave();
    if (t >= 0) this.trace.add(place.x, place.y, t);
  }

  leave() {
    this.seen = null;
    this.trace.leave();
  }

  /** Moves the pointer by an arrow key; returns whether it was one. @param {KeyboardEvent} event */
  key(event) {
    const direction = DIRECTIONS[/** @type {keyof DIRECTIONS} */ (event.key)];
    if (!direction || !this.running) return false;
    const from = this.seen || { x: 0.5, y: 0.5 };
    const step = event.shiftKey ? FINE_STEP : KEY_STEP, edge = this.stage.band;
    const bound = (/** @type {number} */ side) => Math.min(Math.max(side, -edge), 1 + edge);
    this.put({ x: bound(from.x + step * direction[0]), y: bound(from.y + step * direction[1]), inside: true }, event.timeStamp);
    return true;
  }

  /** Draws what is new, or all of it. @param {boolean} all */
  paint(all) {
    const { segments } = this.trace;
    if (all) {
      this.stage.clear();
      this.drawn = { segment: 0, point: 0 };
    }
    const pen = this.stage.pen(), place = this.stage.placing();
    // The bright line starts a few points back, over the end of the last piece's dark edge.
    for (const [width, color, back] of /** @type {[number, string, number][]} */ ([[4.6, "rgb(0 0 0 / 0.45)", 1], [2.8, LIVE, 6]])) {
      pen.lineWidth = width;
      pen.strokeStyle = color;
      pen.lineJoin = pen.lineCap = "round";
      for (let s = this.drawn.segment; s < segments.length; s++) {
        const from = s === this.drawn.segment ? Math.max(this.drawn.point - back, 0) : 0;
        pen.beginPath();
        segments[s].slice(from).forEach(([x, y], i) => (i ? pen.lineTo(...place(x, y)) : pen.moveTo(...place(x, y))));
        pen.stroke();
      }
    }
    const last = segments.length - 1;
    if (last < 0) return;
    if (segments[last].length === 1 && this.drawn.segment !== last) drawPointer(pen, ...place(segments[last][0][0], segments[last][0][1]), LIVE);
    this.drawn = { segment: last, point: segments[last].length };
  }
}
