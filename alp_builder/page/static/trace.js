// The pointer's trace on a canvas, coloured by time; dwelling thick, travelling thin and dashed.
"use strict";

const STROKES = {
  [KIND.dwell]: { width: 3, dash: [], alpha: 1 },
  [KIND.travel]: { width: 2, dash: [3, 5], alpha: 0.95 },
  [KIND.unknown]: { width: 1.2, dash: [1, 5], alpha: 0.8 },
};

/**
 * Whether each point is part of what is lit.
 * @param {number} count
 * @param {number[]} ranges start, end, start, end ...
 */
function membership(count, ranges) {
  const member = new Uint8Array(count);
  for (let i = 0; i + 1 < ranges.length; i += 2) member.fill(1, ranges[i], ranges[i + 1]);
  return member;
}

/**
 * Draws a trace up to a time.
 * @param {CanvasRenderingContext2D} pen in CSS pixels
 * @param {number} width
 * @param {number} height
 * @param {Trace} trace
 * @param {[number, number]} span
 * @param {number} until
 * @param {number[] | null} litPart ranges that are lit; null where nothing is
 */
function drawTrace(pen, width, height, trace, span, until, litPart) {
  const member = litPart ? membership(trace.t.length, litPart) : null;
  pen.lineJoin = pen.lineCap = "round";
  // A dark edge first, so that every colour stands out on every photograph.
  strokeTrace(pen, width, height, trace, span, until, member, true);
  strokeTrace(pen, width, height, trace, span, until, member, false);
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}

/**
 * Strokes runs of points that look alike as one line each.
 * @param {CanvasRenderingContext2D} pen
 * @param {number} width
 * @param {number} height
 * @param {Trace} trace
 * @param {[number, number]} span
 * @param {number} until
 * @param {Uint8Array | null} member
 * @param {boolean} edge
 */
function strokeTrace(pen, width, height, trace, span, until, member, edge) {
  let look = "";
  let open = false;
  for (let i = 1; i < trace.t.length && trace.t[i] <= until; i++) {
    const kind = trace.kinds[i];
    if (kind === KIND.start) {
      look = "";
      continue;
    }
    const isLit = member ? Boolean(member[i] && member[i - 1]) : true;
    const color = timeStep(trace.t[i], span) >> 1;
    const next = `${kind}${isLit}${color}`;
    if (next !== look) {
      if (open) pen.stroke();
      setStroke(pen, STROKES[kind] || STROKES[KIND.travel], TIME_COLORS[color << 1], member !== null, isLit, edge);
      pen.beginPath();
      pen.moveTo(trace.x[i - 1] * width, trace.y[i - 1] * height);
      open = true;
      look = next;
    }
    pen.lineTo(trace.x[i] * width, trace.y[i] * height);
  }
  if (open) pen.stroke();
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {{width: number, dash: number[], alpha: number}} stroke
 * @param {string} color
 * @param {boolean} isPartLit
 * @param {boolean} isLit
 * @param {boolean} edge
 */
function setStroke(pen, stroke, color, isPartLit, isLit, edge) {
  const faint = isPartLit && !isLit;
  pen.setLineDash(stroke.dash);
  pen.lineWidth = stroke.width + (isPartLit && isLit ? 1 : 0) + (edge ? 1.6 : 0);
  pen.strokeStyle = edge ? "rgb(0 0 0 / 0.55)" : color;
  pen.globalAlpha = stroke.alpha * (faint ? (edge ? 0 : 0.35) : 1);
}

/**
 * Where the pointer is at a time: the last point before it.
 * @param {Trace} trace
 * @param {number} time
 * @returns {number} index, -1 before the first point
 */
function pointAt(trace, time) {
  let low = 0, high = trace.t.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (trace.t[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Draws the pointer.
 * @param {CanvasRenderingContext2D} pen
 * @param {number} x
 * @param {number} y
 * @param {string} color
 */
function drawPointer(pen, x, y, color) {
  pen.beginPath();
  pen.arc(x, y, 7, 0, 2 * Math.PI);
  pen.fillStyle = color;
  pen.fill();
  pen.lineWidth = 2.5;
  pen.strokeStyle = "white";
  pen.stroke();
}
