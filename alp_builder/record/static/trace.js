// A pointer's way: segments of points, and how they are drawn.

import { TIME_COLORS, timeStep } from "./color.js";

/** @typedef {[number, number, number]} Point x and y in image sides from the top left, t in seconds */
/** @typedef {Point[][]} Segments */

/** Points closer in time than this are left out; mice report up to 8,000 times a second. */
const LEAST_GAP = 0.008;

export class Trace {
  constructor() {
    /** @type {Segments} */
    this.segments = [];
    this.open = false;
    this.last = 0;
    /** @type {Point | null} the newest point, where it came too soon after the one before */
    this.spare = null;
  }

  /**
   * Adds a point; the first after a leave starts a segment.
   * @param {number} x
   * @param {number} y
   * @param {number} t
   */
  add(x, y, t) {
    t = Math.max(t, this.spare ? this.spare[2] : this.last); // events may overtake each other by less than a frame
    /** @type {Point} */
    const point = [round(x, 5), round(y, 5), round(t, 3)];
    if (!this.open) this.segments.push([]);
    else if (t - this.last < LEAST_GAP) {
      this.spare = point;
      return;
    } else if (this.spare && t - this.spare[2] >= LEAST_GAP) this.keep(this.spare); // where it rested meanwhile
    this.open = true;
    this.keep(point);
  }

  /** @param {Point} point */
  keep(point) {
    this.segments[this.segments.length - 1].push(point);
    this.last = point[2];
    this.spare = null;
  }

  /** The pointer has left, or the recording has ended. */
  leave() {
    if (this.spare) this.keep(this.spare);
    this.open = false;
  }
}

/** @param {number} value @param {number} digits */
function round(value, digits) {
  return Number(value.toFixed(digits));
}

/**
 * Shifts a trace on the clock; what then lies before 0 is left out, as are empty segments.
 * @param {Segments} segments
 * @param {number} seconds
 * @returns {Segments}
 */
export function shifted(segments, seconds) {
  return segments
    .map((segment) => segment.map(([x, y, t]) => /** @type {Point} */ ([x, y, round(t + seconds, 3)])).filter(([, , t]) => t >= 0))
    .filter((segment) => segment.length > 0);
}

/** The last point up to a time, or null. @param {Segments} segments @param {number} time @returns {Point | null} */
export function pointAt(segments, time) {
  let found = null;
  for (const segment of segments) {
    if (segment[0][2] > time) break;
    let low = 0, high = segment.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (segment[middle][2] <= time) low = middle + 1;
      else high = middle;
    }
    found = segment[low - 1];
  }
  return found;
}

/**
 * Draws a trace up to a time, coloured by time, with a dark edge that stands out on every picture.
 * @param {CanvasRenderingContext2D} pen
 * @param {(x: number, y: number) => [number, number]} place image to canvas
 * @param {Segments} segments
 * @param {number} length of the recording, in seconds
 * @param {number} until in seconds
 * @param {[number, number] | null} [lit] seconds that are lit; all else is faint
 */
export function drawTrace(pen, place, segments, length, until, lit = null) {
  pen.lineJoin = pen.lineCap = "round";
  for (const isEdge of [true, false]) {
    for (const segment of segments) drawSegment(pen, place, segment, length, until, lit, isEdge);
  }
  pen.globalAlpha = 1;
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {(x: number, y: number) => [number, number]} place
 * @param {Point[]} segment
 * @param {number} length
 * @param {number} until
 * @param {[number, number] | null} lit
 * @param {boolean} isEdge
 */
function drawSegment(pen, place, segment, length, until, lit, isEdge) {
  let look = -1;
  for (let i = 1; i < segment.length && segment[i][2] <= until; i++) {
    const t = segment[i][2];
    const isLit = !lit || (t >= lit[0] && t <= lit[1]);
    const next = 2 * timeStep(t, length) + Number(isLit);
    if (next !== look) {
      if (look >= 0) pen.stroke();
      pen.beginPath();
      pen.moveTo(...place(segment[i - 1][0], segment[i - 1][1]));
      pen.strokeStyle = isEdge ? "rgb(0 0 0 / 0.55)" : TIME_COLORS[next >> 1];
      pen.lineWidth = (isLit ? 3 : 2) + (isEdge ? 1.8 : 0);
      pen.globalAlpha = isLit ? 1 : isEdge ? 0 : 0.3;
      look = next;
    }
    pen.lineTo(...place(segment[i][0], segment[i][1]));
  }
  if (look >= 0) pen.stroke();
}

/** @param {CanvasRenderingContext2D} pen @param {number} x @param {number} y @param {string} color */
export function drawPointer(pen, x, y, color) {
  pen.beginPath();
  pen.arc(x, y, 7, 0, 2 * Math.PI);
  pen.fillStyle = color;
  pen.fill();
  pen.lineWidth = 2.5;
  pen.strokeStyle = "white";
  pen.stroke();
}
