// The image, the band round it, and a canvas over both.

import { timeColor } from "./color.js";
import { make } from "./dom.js";
import { drawPointer, drawTrace, pointAt } from "./trace.js";

export class Stage {
  /** @param {HTMLElement} parent @param {number} band in image sides */
  constructor(parent, band) {
    this.element = make("div", "frame");
    this.image = make("img", "photo");
    this.image.draggable = false;
    this.canvas = make("canvas", "drawing");
    this.boxes = make("div", "boxes");
    this.problem = make("p", "problem");
    this.element.append(this.image, this.boxes, this.canvas, this.problem);
    parent.append(this.element);
    this.band = band;
    this.element.style.setProperty("--inset", `${(100 * band) / (1 + 2 * band)}%`);
    this.address = "";
    this.repaint = () => {};
    new ResizeObserver(() => this.fit()).observe(this.element);
  }

  /**
   * Shows a picture.
   * @param {Blob | null} picture
   * @param {{width: number, height: number, id: string}} about
   * @param {string} [problem] why there is none
   */
  async show(picture, about, problem = "") {
    this.element.style.setProperty("--ratio", String((about.width || 4) / (about.height || 3)));
    this.image.alt = `Image ${about.id}`;
    this.problem.textContent = problem;
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = picture ? URL.createObjectURL(picture) : "";
    if (!picture) return this.image.removeAttribute("src");
    this.image.src = this.address;
    try {
      await this.image.decode();
      const ratio = this.image.naturalWidth / this.image.naturalHeight;
      this.element.style.setProperty("--ratio", String(ratio));
    } catch {
      this.problem.textContent = "This browser cannot show the image.";
    }
  }

  /** Matches the canvas to the screen. */
  fit() {
    const { width, height } = this.element.getBoundingClientRect();
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    this.repaint();
  }

  /** A pen in CSS pixels. @returns {CanvasRenderingContext2D} */
  pen() {
    const pen = this.canvas.getContext("2d");
    const scale = window.devicePixelRatio || 1;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    return pen;
  }

  /** Clears the drawing. */
  clear() {
    this.pen().clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Image coordinates to pixels of the canvas. @returns {(x: number, y: number) => [number, number]} */
  placing() {
    const { width, height } = this.element.getBoundingClientRect();
    const whole = 1 + 2 * this.band;
    return (x, y) => [(width * (x + this.band)) / whole, (height * (y + this.band)) / whole];
  }

  /**
   * Window pixels to image coordinates, and whether they lie in the image or its band.
   * @param {number} clientX
   * @param {number} clientY
   */
  locate(clientX, clientY) {
    const frame = this.element.getBoundingClientRect();
    const whole = 1 + 2 * this.band;
    const x = ((clientX - frame.left) / frame.width) * whole - this.band;
    const y = ((clientY - frame.top) / frame.height) * whole - this.band;
    const inside = x >= -this.band && x <= 1 + this.band && y >= -this.band && y <= 1 + this.band;
    return { x, y, inside };
  }

  /**
   * Draws a trace as it stood at a time, with the pointer.
   * @param {import("./trace.js").Segments} segments
   * @param {number} length
   * @param {number} time
   * @param {[number, number] | null} [lit]
   */
  drawAt(segments, length, time, lit = null) {
    this.clear();
    const pen = this.pen(), place = this.placing();
    drawTrace(pen, place, segments, length, time, lit);
    const point = time < length ? pointAt(segments, time) : null;
    if (point) drawPointer(pen, ...place(point[0], point[1]), timeColor(time, length));
  }
}
