// The scale of time, the same as on the page of `alps show`: blue to amber by way of magenta.

const STOPS = [
  [47, 109, 246],
  [131, 80, 240],
  [205, 66, 181],
  [240, 98, 70],
  [245, 184, 46],
];

export const TIME_COLORS = Array.from({ length: 64 }, (_, i) => {
  const place = (i / 63) * (STOPS.length - 1);
  const first = Math.min(Math.floor(place), STOPS.length - 2);
  const mix = STOPS[first].map((side, c) => Math.round(side + (place - first) * (STOPS[first + 1][c] - side)));
  return `rgb(${mix.join(" ")})`;
});

/** Step of the scale, 0 to 63. @param {number} time @param {number} length */
export function timeStep(time, length) {
  return Math.round(63 * Math.min(Math.max(length > 0 ? time / length : 0, 0), 1));
}

/** @param {number} time @param {number} length */
export function timeColor(time, length) {
  return TIME_COLORS[timeStep(time, length)];
}
