// Masks: run lengths on a small grid, painted over the image.
"use strict";

/** @type {WeakMap<Thing, HTMLCanvasElement | null>} */
const paintedMasks = new WeakMap();

/**
 * A mask as a canvas of its grid, in one colour; null where its runs do not fit the grid.
 * @param {Thing} thing
 * @param {string} color
 * @returns {HTMLCanvasElement | null}
 */
function paintedMask(thing, color) {
  const known = paintedMasks.get(thing);
  if (known !== undefined) return known;
  const painted = thing.mask ? paintMask(thing.mask, color) : null;
  paintedMasks.set(thing, painted);
  return painted;
}

/**
 * @param {number[]} mask columns, rows, run lengths
 * @param {string} color
 */
function paintMask(mask, color) {
  const [columns, rows] = mask;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.fillStyle = color;
  let place = 0;
  for (let i = 2; i < mask.length; i++) {
    const end = Math.min(place + mask[i], columns * rows);
    while (i % 2 === 1 && place < end) {
      const row = Math.floor(place / columns);
      const stop = Math.min(end, (row + 1) * columns);
      pen.fillRect(place - row * columns, row, stop - place, 1);
      place = stop;
    }
    place = end;
  }
  return canvas;
}
