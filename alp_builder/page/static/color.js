// Two colour scales: of time, for narratives, and of names, for predictions and truth.
"use strict";

// Blue to amber by way of magenta: seen apart on photographs and by colour-blind eyes, since it brightens as it goes.
const TIME_STOPS = [
  [47, 109, 246],
  [131, 80, 240],
  [205, 66, 181],
  [240, 98, 70],
  [245, 184, 46],
];

const TIME_COLORS = Array.from({ length: 128 }, (_, i) => {
  const place = (i / 127) * (TIME_STOPS.length - 1);
  const first = Math.min(Math.floor(place), TIME_STOPS.length - 2);
  const mix = TIME_STOPS[first].map((side, c) => Math.round(side + (place - first) * (TIME_STOPS[first + 1][c] - side)));
  return `rgb(${mix.join(" ")})`;
});

/**
 * Step of the scale of time, 0 to 127.
 * @param {number} time
 * @param {[number, number]} span
 */
function timeStep(time, span) {
  const share = (time - span[0]) / (span[1] - span[0]);
  return Math.round(127 * Math.min(Math.max(share, 0), 1)) || 0;
}

/**
 * Colour of an ALP: that of the middle of its window.
 * @param {Alp} alp
 * @param {[number, number] | null} span
 */
function alpColor(alp, span) {
  return TIME_COLORS[span ? timeStep((alp.window[0] + alp.window[1]) / 2, span) : 0];
}

/** @type {Map<string, number> | null} place of each name of predictions and truth, in alphabetical order */
let namePlaces = null;

/**
 * A colour for a name, the same one all over the page.
 * @param {string} name
 */
function nameColor(name) {
  if (!namePlaces) {
    const names = PAGE.images.flatMap((image) => [...(image.predictions || []), ...(image.truth || [])].map((thing) => thing.name));
    namePlaces = new Map([...new Set(names)].sort().map((each, place) => [each, place]));
  }
  // Steps of the golden angle keep neighbours apart.
  return `oklch(0.74 0.16 ${Math.round((namePlaces.get(name) || 0) * 137.508) % 360})`;
}
