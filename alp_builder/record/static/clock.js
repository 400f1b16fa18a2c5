// Where the zero of a recording lies on the clock of performance.now().
//
// A recorder that is called starts with the sound of that very moment; its start event comes only when the first
// packet is full (60 ms later in Chromium), or later if the page is busy. So the call is the zero. Measured in
// Chromium with clicks at known instants: sound and pointer agree within 25 ms (tests/alp_builder/record/test_clock.py).
//
// Only where a microphone delivers nothing at first (some wireless ones) is the zero later than the call. Two
// witnesses tell: the start event, and the recording's end minus its length. Each can be late for reasons of its
// own, so the earlier of the two counts, and only when it is later than packets explain.

/** @typedef {{start_ms: number, end_ms: number | null, source: string}} Clock */

const PACKET = 60; // ms of sound in a packet; a recording may lack a part of its last one
const LATE = 160; // ms after the call that packets and a busy page explain

/**
 * @param {{called: number, started: number, stopped: number, seconds: number, decoded: boolean}} seen
 *   milliseconds of the call that started, the start event and the call that stopped; the length in seconds
 * @returns {{zero: number, clock: Clock}}
 */
export function findZero({ called, started, stopped, seconds, decoded }) {
  const byEnd = stopped - 1000 * seconds;
  const witness = decoded ? Math.min(started, byEnd) : started;
  const isLate = witness - called > LATE;
  const zero = isLate ? witness - PACKET / 2 : called;
  return { zero, clock: { start_ms: zero - called, end_ms: decoded ? byEnd - zero : null, source: isLate ? "late" : "call" } };
}
