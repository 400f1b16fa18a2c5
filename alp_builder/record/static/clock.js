// Where the zero of a recording lies on the clock of performance.now().
//
// The recorder's start event tells it, late by however long the page was busy. The recording's own length tells
// it too: stop minus length, late by the sound that was still under way when it was stopped. Both can only be too
// late, so the earlier of the two is the better; it is never earlier than the call that started the recorder.

/** @typedef {{start_ms: number, end_ms: number | null, source: string}} Clock */

/**
 * @param {{called: number, started: number, stopped: number, seconds: number, decoded: boolean}} seen
 *   milliseconds of the call that started, the start event and the call that stopped; the length in seconds
 * @returns {{zero: number, clock: Clock}}
 */
export function findZero({ called, started, stopped, seconds, decoded }) {
  const byEnd = stopped - 1000 * seconds;
  const zero = decoded ? Math.max(called, Math.min(started, byEnd)) : started;
  return { zero, clock: { start_ms: zero - called, end_ms: decoded ? byEnd - zero : null, source: zero === started ? "start" : "end" } };
}
