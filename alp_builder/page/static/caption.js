// The caption: phrases as coloured spans, lit by pointer, focus and time.
"use strict";

/**
 * Cuts a caption at phrases and words. Spans of data may overlap or be out of order: what begins before
 * the last one's end is left out.
 * @param {number} length of the caption
 * @param {[number, number][]} spans
 * @returns {{start: number, end: number, of: number}[]} pieces; `of` is an index into spans, -1 between them
 */
function cutInto(length, spans) {
  const order = spans.map((_, i) => i).sort((a, b) => spans[a][0] - spans[b][0] || spans[b][1] - spans[a][1]);
  const pieces = [];
  let place = 0;
  for (const of of order) {
    const [start, end] = spans[of];
    if (start < place || end <= start || end > length) continue;
    if (start > place) pieces.push({ start: place, end: start, of: -1 });
    pieces.push({ start, end, of });
    place = end;
  }
  if (place < length) pieces.push({ start: place, end: length, of: -1 });
  return pieces;
}

class Caption {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    /** @type {{element: HTMLElement, alps: number[], window: [number, number]}[]} */
    this.phrases = [];
    /** @type {{element: HTMLElement, start: number}[]} */
    this.words = [];
    watch("current", () => this.draw());
    watch("shown", () => this.mark());
    watch("lit", () => this.mark());
    watch("time", () => this.tick());
  }

  draw() {
    const narrative = currentNarrative();
    this.phrases = [];
    this.words = [];
    this.element.replaceChildren();
    if (!narrative || !narrative.caption) return;
    const alps = narrative.alps || [];
    const text = narrative.caption;
    for (const piece of cutInto(text.length, alps.map((alp) => alp.span))) {
      const words = this.wordsBetween(narrative, piece.start, piece.end);
      if (piece.of < 0) this.element.append(...words);
      else this.element.append(this.phrase(alps, piece.of, words));
    }
    this.mark();
    this.tick();
  }

  /**
   * A phrase; all ALPs of its span (the places of a plural) belong to it.
   * @param {Alp[]} alps
   * @param {number} first
   * @param {(Node | string)[]} words
   */
  phrase(alps, first, words) {
    const span = alps[first].span;
    const own = alps.map((_, i) => i).filter((i) => alps[i].span[0] === span[0] && alps[i].span[1] === span[1]);
    const main = own.find((i) => !alps[i].component) ?? first;
    const button = make("span", "phrase", ...words);
    button.tabIndex = 0;
    button.setAttribute("role", "button");
    button.dataset.alp = String(main);
    button.style.setProperty("--c", alpColor(alps[main], currentSpan()));
    button.title = `quality ${alps[main].score.toFixed(2)}`;
    lightsOn(button, { kind: "alps", index: main });
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      pin({ kind: "alps", index: main });
    });
    this.phrases.push({ element: button, alps: own, window: alps[main].window });
    return button;
  }

  /**
   * The words of a stretch of the caption, timed ones as elements.
   * @param {Narrative} narrative
   * @param {number} start
   * @param {number} end
   * @returns {(Node | string)[]}
   */
  wordsBetween(narrative, start, end) {
    const text = /** @type {string} */ (narrative.caption);
    const timed = (narrative.words || []).filter((word) => word[0] >= start && word[1] <= end);
    return cutInto(end - start, timed.map((word) => [word[0] - start, word[1] - start])).map((piece) => {
      const shown = visible(text.slice(start + piece.start, start + piece.end));
      if (piece.of < 0) return shown;
      const word = make("span", "word", shown);
      this.words.push({ element: word, start: timed[piece.of][2] });
      return word;
    });
  }

  /** Marks what is lit, and what the filter leaves out. */
  mark() {
    const narrative = currentNarrative();
    const lit = litNow();
    for (const phrase of this.phrases) {
      const isLit = lit !== null && lit.kind === "alps" && phrase.alps.includes(lit.index);
      phrase.element.classList.toggle("lit", isLit);
      phrase.element.setAttribute("aria-pressed", String(isLit && state.pinned !== null));
      const alps = (narrative && narrative.alps) || [];
      const fits = !asksOfAlps(state.filter) || phrase.alps.some((i) => alps[i] && alpFits(alps[i], state.filter));
      phrase.element.classList.toggle("dim", !fits);
    }
  }

  /** Shows how far the narrative has come. */
  tick() {
    const span = currentSpan();
    const isDone = !span || state.time >= span[1];
    for (const { element, start } of this.words) element.classList.toggle("ahead", !isDone && start > state.time);
    for (const { element, window } of this.phrases) {
      element.classList.toggle("now", !isDone && window[0] <= state.time && state.time < window[1]);
      element.classList.toggle("ahead", !isDone && window[0] > state.time);
    }
  }
}
