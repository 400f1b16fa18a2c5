// The data of the page: what Python wrote (alp_builder/page/document.py), typed and unpacked.
// Coordinates are fractions of the image, origin at the top left; times are seconds.
"use strict";

/**
 * @typedef {[number, number, number, number]} Box x0, y0, x1, y1
 * @typedef {Object} Alp
 * @property {string} id
 * @property {[number, number]} span of the phrase in the caption, UTF-16 units
 * @property {string} text
 * @property {string} lemma
 * @property {boolean} [plural]
 * @property {boolean} [group]
 * @property {number} [component] which place of the phrase, 0 the main one
 * @property {number} [components] of how many
 * @property {[number, number]} window start and end
 * @property {Box} box
 * @property {Box} tight
 * @property {Box} [calibrated]
 * @property {number} score
 * @property {number} points
 * @property {number} dwell seconds
 * @property {number} steady share of the window dwelt
 * @property {number} hull share of the image
 * @property {number} gap seconds
 * @property {number} inside share of the points
 * @property {number[]} [part] ranges of the trace: start, end, start, end ...
 *
 * @typedef {Object} Narrative
 * @property {string} [id]
 * @property {string} dataset
 * @property {string} image_id
 * @property {number} image
 * @property {string} [split]
 * @property {string} [annotator]
 * @property {string} [caption]
 * @property {Alp[]} [alps]
 * @property {{points: number[], kinds: string}} [trace]
 * @property {[number, number, number, number][]} [words] start, end in the caption; start, end in time
 *
 * @typedef {Object} Thing a prediction, or a thing of the truth
 * @property {string} name
 * @property {Box} box
 * @property {number} [score]
 * @property {number[]} [mask] columns, rows, then run lengths: outside, inside, outside ...
 *
 * @typedef {Object} PageImage
 * @property {number} [width]
 * @property {number} [height]
 * @property {string} [problem]
 * @property {string} [link]
 * @property {Thing[]} [predictions]
 * @property {number} [more] predictions left out of the page, as they score lowest
 * @property {Thing[]} [truth]
 *
 * @typedef {Object} PageData
 * @property {string} title
 * @property {string[]} about
 * @property {string} traces
 * @property {Narrative[]} narratives
 * @property {PageImage[]} images
 *
 * @typedef {Object} Trace
 * @property {Float32Array} x
 * @property {Float32Array} y
 * @property {Float32Array} t
 * @property {string} kinds a digit a point: how the pointer came there, see KIND
 */

/** How the pointer came to a point. */
const KIND = { dwell: "0", travel: "1", start: "2", unknown: "3" };

/** @type {PageData} */
const PAGE = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("data")).textContent || "{}");

/** @type {WeakMap<Narrative, Trace | null>} */
const unpackedTraces = new WeakMap();

/** @type {WeakMap<Narrative, [number, number] | null>} */
const spansOfTime = new WeakMap();

/**
 * The trace of a narrative, unpacked when it is first asked for.
 * @param {Narrative} narrative
 * @returns {Trace | null}
 */
function traceOf(narrative) {
  const known = unpackedTraces.get(narrative);
  if (known !== undefined) return known;
  const trace = narrative.trace ? unpackTrace(narrative.trace) : null;
  unpackedTraces.set(narrative, trace);
  return trace;
}

/**
 * @param {{points: number[], kinds: string}} packed
 * @returns {Trace}
 */
function unpackTrace(packed) {
  const count = packed.kinds.length;
  const trace = {
    x: new Float32Array(count),
    y: new Float32Array(count),
    t: new Float32Array(count),
    kinds: packed.kinds,
  };
  let x = 0, y = 0, t = 0;
  for (let i = 0; i < count; i++) {
    x += packed.points[3 * i];
    y += packed.points[3 * i + 1];
    t += packed.points[3 * i + 2];
    trace.x[i] = x / 10000;
    trace.y[i] = y / 10000;
    trace.t[i] = t / 1000;
  }
  return trace;
}

/**
 * When a narrative starts and ends; null where nothing is timed.
 * @param {Narrative} narrative
 * @returns {[number, number] | null}
 */
function spanOfTime(narrative) {
  const known = spansOfTime.get(narrative);
  if (known !== undefined) return known;
  const span = measureSpan(narrative);
  spansOfTime.set(narrative, span);
  return span;
}

/**
 * @param {Narrative} narrative
 * @returns {[number, number] | null}
 */
function measureSpan(narrative) {
  const times = (narrative.alps || []).flatMap((alp) => alp.window);
  for (const word of narrative.words || []) times.push(word[2], word[3]);
  const trace = traceOf(narrative);
  if (trace && trace.t.length) times.push(trace.t[0], trace.t[trace.t.length - 1]);
  if (!times.length) return null;
  const start = times.reduce((a, b) => Math.min(a, b));
  const end = times.reduce((a, b) => Math.max(a, b));
  return [start, Math.max(end, start + 0.001)];
}

/**
 * Address of an image's pixels, or "" where there are none.
 * @param {number} index
 * @returns {string}
 */
function imageAddress(index) {
  const image = PAGE.images[index];
  if (!image || image.problem) return "";
  if (image.link) return image.link;
  const block = document.getElementById(`pixels-${index}`);
  return block ? `data:image/jpeg;base64,${block.textContent}` : "";
}
