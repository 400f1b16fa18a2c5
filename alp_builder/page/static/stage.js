// A stage: one image with what is known of it drawn on top. There is one for each pane.
"use strict";

/** @typedef {"alps" | "predictions" | "truth"} Kind */

class Stage {
  /**
   * @param {HTMLElement} parent
   * @param {string} title shown above it; "" for none
   * @param {Kind[]} kinds what it shows
   */
  constructor(parent, title, kinds) {
    this.kinds = kinds;
    this.figure = make("figure", "stage");
    this.frame = make("div", "frame");
    this.image = make("img", "photo");
    this.image.draggable = false;
    this.canvas = make("canvas", "drawing");
    this.boxes = make("div", "boxes");
    this.problem = make("div", "problem");
    this.frame.append(this.image, this.problem, this.canvas, this.boxes);
    if (title) this.figure.append(make("figcaption", "", title));
    this.figure.append(this.frame);
    parent.append(this.figure);
    /** @type {{element: HTMLElement, lit: Lit, from: number}[]} */
    this.drawn = [];
    this.sizes = new ResizeObserver(() => (this.paint(), this.placeTags()));
    this.sizes.observe(this.frame);
  }

  /** Takes the stage away. */
  remove() {
    this.sizes.disconnect();
    this.figure.remove();
  }

  /** Shows the current narrative. */
  draw() {
    const narrative = /** @type {Narrative} */ (currentNarrative());
    const image = PAGE.images[narrative.image];
    const address = imageAddress(narrative.image);
    this.frame.style.setProperty("--ratio", String((image.width || 4) / (image.height || 3)));
    this.image.hidden = !address;
    if (address) this.image.src = address;
    else this.image.removeAttribute("src");
    this.image.alt = `Image ${visible(narrative.image_id)}`;
    this.problem.textContent = address ? "" : image.problem || "no image";
    this.drawBoxes();
    this.paint();
  }

  drawBoxes() {
    const narrative = /** @type {Narrative} */ (currentNarrative());
    this.drawn = [];
    this.boxes.replaceChildren();
    if (this.kinds.includes("alps")) this.drawAlps(narrative.alps || []);
    for (const kind of /** @type {("truth" | "predictions")[]} */ (["truth", "predictions"])) {
      if (this.kinds.includes(kind)) this.drawThings(kind, shownThings(narrative, kind));
    }
    // Small boxes lie on top of large ones, so that each can be pointed at.
    this.drawn.sort((a, b) => area(b.element) - area(a.element));
    this.boxes.append(...this.drawn.map((d) => d.element));
    this.mark();
    this.placeTags();
  }

  /** Puts each label at the first of its places where it lies on no other and in the frame. */
  placeTags() {
    const frame = this.frame.getBoundingClientRect();
    if (!frame.width) return;
    /** @type {DOMRect[]} */
    const taken = [];
    for (const { element } of [...this.drawn].reverse()) {
      const tag = /** @type {HTMLElement | null} */ (element.firstElementChild);
      if (!tag) continue;
      for (const place of TAG_PLACES) {
        tag.className = `tag ${place}`;
        const own = tag.getBoundingClientRect();
        if (place.endsWith("crowded")) break;
        if (isWithin(own, frame) && !taken.some((other) => overlap(own, other))) break;
      }
      if (!tag.classList.contains("crowded")) taken.push(tag.getBoundingClientRect());
    }
  }

  /** @param {Alp[]} alps */
  drawAlps(alps) {
    const span = currentSpan();
    alps.forEach((alp, index) => {
      const color = alpColor(alp, span);
      /** @type {Lit} */
      const lit = { kind: "alps", index };
      const look = alp.score < 0.5 ? "box weak" : "box";
      if (state.layers.boxes) this.addBox(alp.box, look, color, lit, `${alp.text} ${alp.score.toFixed(2)}`, alp.window[0]);
      if (state.layers.tight) this.addBox(alp.tight, "box tight", color, lit, "", alp.window[0]);
      if (state.layers.calibrated && alp.calibrated) this.addBox(alp.calibrated, "box calibrated", color, lit, "", alp.window[0]);
    });
  }

  /** @param {"predictions" | "truth"} kind @param {{thing: Thing, index: number}[]} things */
  drawThings(kind, things) {
    if (!state.layers.boxes) return;
    for (const { thing, index } of things) {
      const label = thing.score === undefined ? thing.name : `${thing.name} ${thing.score.toFixed(2)}`;
      this.addBox(thing.box, `box ${kind}`, nameColor(thing.name), { kind, index }, label, -Infinity);
    }
  }

  /**
   * @param {Box} box
   * @param {string} look
   * @param {string} color
   * @param {Lit} lit
   * @param {string} label
   * @param {number} from when it appears
   */
  addBox(box, look, color, lit, label, from) {
    const [x0, y0, x1, y1] = box;
    const element = make("div", look);
    element.style.setProperty("--c", color);
    element.style.left = `${100 * x0}%`;
    element.style.top = `${100 * y0}%`;
    element.style.width = `${100 * Math.max(0, x1 - x0)}%`;
    element.style.height = `${100 * Math.max(0, y1 - y0)}%`;
    element.dataset.area = String((x1 - x0) * (y1 - y0));
    element.dataset.lit = `${lit.kind}-${lit.index}`;
    if (label) {
      element.append(make("span", "tag", visible(label)));
    }
    element.addEventListener("pointerenter", () => light(lit));
    element.addEventListener("pointerleave", () => light(null));
    element.addEventListener("click", () => pin(lit));
    this.drawn.push({ element, lit, from });
  }

  /** Marks what is lit, what the filter leaves out and what has not come yet. */
  mark() {
    const narrative = currentNarrative();
    const lit = litNow();
    const span = currentSpan();
    const isDone = !span || state.time >= span[1];
    this.boxes.classList.toggle("has-lit", lit !== null);
    this.boxes.classList.toggle("labelled", state.layers.labels);
    for (const { element, lit: own, from } of this.drawn) {
      element.classList.toggle("lit", isAkin(narrative, own, lit));
      element.classList.toggle("ahead", !isDone && from > state.time);
      const alp = own.kind === "alps" && narrative && narrative.alps ? narrative.alps[own.index] : null;
      element.classList.toggle("dim", alp !== null && asksOfAlps(state.filter) && !alpFits(alp, state.filter));
    }
  }

  /** Paints trace and masks. */
  paint() {
    const narrative = currentNarrative();
    const width = this.frame.clientWidth, height = this.frame.clientHeight;
    const ratio = window.devicePixelRatio || 1;
    const pen = this.canvas.getContext("2d");
    if (!pen || !narrative || !width || !height) return;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (state.layers.masks) this.paintMasks(pen, narrative, width, height);
    if (state.layers.trace && this.kinds.includes("alps")) this.paintTrace(pen, narrative, width, height);
  }

  /** @param {CanvasRenderingContext2D} pen @param {Narrative} narrative @param {number} width @param {number} height */
  paintMasks(pen, narrative, width, height) {
    const lit = litNow();
    for (const kind of /** @type {("truth" | "predictions")[]} */ (["truth", "predictions"])) {
      if (!this.kinds.includes(kind)) continue;
      for (const { thing, index } of shownThings(narrative, kind)) {
        const mask = paintedMask(thing, nameColor(thing.name));
        if (!mask) continue;
        pen.globalAlpha = !lit ? 0.45 : isAkin(narrative, { kind, index }, lit) ? 0.7 : 0.1;
        pen.drawImage(mask, 0, 0, width, height);
      }
    }
    pen.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} pen @param {Narrative} narrative @param {number} width @param {number} height */
  paintTrace(pen, narrative, width, height) {
    const trace = traceOf(narrative);
    const span = currentSpan();
    if (!trace || !span) return;
    const lit = litNow();
    const isPhrase = lit !== null && lit.kind === "alps";
    const akin = (narrative.alps || []).filter((_, index) => isAkin(narrative, { kind: "alps", index }, lit));
    drawTrace(pen, width, height, trace, span, state.time, isPhrase ? akin.flatMap((alp) => alp.part || []) : null);
    const place = pointAt(trace, state.time);
    if (state.time < span[1] && place >= 0) {
      drawPointer(pen, trace.x[place] * width, trace.y[place] * height, TIME_COLORS[timeStep(state.time, span)]);
    }
  }
}

/** Where a label may stand: above its box, inside it, at its foot; left or right; hidden until lit where all is taken. */
const TAG_PLACES = ["", "right", "inside", "inside right", "foot", "foot right", "inside crowded"];

/** @param {DOMRect} a @param {DOMRect} b */
function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** @param {DOMRect} a @param {DOMRect} frame */
function isWithin(a, frame) {
  return a.left >= frame.left - 2 && a.right <= frame.right + 2 && a.top >= frame.top - 2 && a.bottom <= frame.bottom + 2;
}

/** @param {HTMLElement} element */
function area(element) {
  return Number(element.dataset.area) || 0;
}

/**
 * The predictions above the threshold, or the things of truth, with their indices.
 * @param {Narrative} narrative
 * @param {"predictions" | "truth"} kind
 */
function shownThings(narrative, kind) {
  const things = PAGE.images[narrative.image][kind] || [];
  return things.map((thing, index) => ({ thing, index }))
    .filter(({ thing }) => thing.score === undefined || thing.score >= state.threshold);
}

/**
 * What something is called, by all names a narrative, a model or the truth may give it.
 * @param {Narrative} narrative
 * @param {Lit} lit
 * @returns {string[]}
 */
function namesOf(narrative, lit) {
  if (lit.kind === "alps") {
    const alp = (narrative.alps || [])[lit.index];
    return alp ? [alp.text.toLowerCase(), alp.lemma.toLowerCase()] : [];
  }
  const thing = (PAGE.images[narrative.image][lit.kind] || [])[lit.index];
  return thing ? [thing.name.toLowerCase()] : [];
}

/**
 * Whether something is lit: itself, another place of the same phrase, or of the same name in another pane.
 * @param {Narrative | null} narrative
 * @param {Lit} own
 * @param {Lit | null} lit
 */
function isAkin(narrative, own, lit) {
  if (!narrative || !lit) return false;
  if (own.kind !== lit.kind) {
    const names = namesOf(narrative, lit);
    return namesOf(narrative, own).some((name) => names.includes(name));
  }
  if (own.index === lit.index) return true;
  if (own.kind !== "alps" || !narrative.alps) return false;
  const [a, b] = [narrative.alps[own.index], narrative.alps[lit.index]];
  return Boolean(a && b) && a.span[0] === b.span[0] && a.span[1] === b.span[1];
}
