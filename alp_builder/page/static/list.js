// The list of narratives: only the rows in sight exist, so that ten thousand scroll as ten do.
"use strict";

const ROW_HEIGHT = 76;
const SPARE_ROWS = 6;

class NarrativeList {
  /** @param {HTMLElement} element scrolls @param {HTMLElement} inner is as high as all rows */
  constructor(element, inner) {
    this.element = element;
    this.inner = inner;
    /** @type {Map<number, HTMLElement>} rows by place in the list */
    this.rows = new Map();
    this.isWaiting = false;
    element.addEventListener("scroll", () => this.drawSoon(), { passive: true });
    new ResizeObserver(() => this.drawSoon()).observe(element);
    watch("shown", () => this.renew());
    watch("current", () => this.follow());
  }

  drawSoon() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.draw();
    });
  }

  /** Another choice of narratives: all rows anew. */
  renew() {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
    this.inner.style.height = `${state.shown.length * ROW_HEIGHT}px`;
    this.follow();
    this.draw();
  }

  /** Brings the current narrative into sight and marks it. */
  follow() {
    const place = state.shown.indexOf(state.current);
    if (place >= 0) {
      const top = place * ROW_HEIGHT;
      const { scrollTop, clientHeight } = this.element;
      if (top < scrollTop) this.element.scrollTop = top;
      else if (top + ROW_HEIGHT > scrollTop + clientHeight) this.element.scrollTop = top + ROW_HEIGHT - clientHeight;
    }
    this.draw();
    for (const [at, row] of this.rows) row.setAttribute("aria-selected", String(at === place));
    if (place >= 0) this.element.setAttribute("aria-activedescendant", `row-${place}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const seen = Math.ceil(this.element.clientHeight / ROW_HEIGHT);
    const last = Math.min(state.shown.length, first + seen + 2 * SPARE_ROWS);
    for (const [place, row] of this.rows) {
      if (place >= first && place < last) continue;
      row.remove();
      this.rows.delete(place);
    }
    for (let place = first; place < last; place++) {
      if (this.rows.has(place)) continue;
      const row = this.makeRow(place);
      this.rows.set(place, row);
      this.inner.append(row);
    }
  }

  /** @param {number} place */
  makeRow(place) {
    const index = state.shown[place];
    const narrative = PAGE.narratives[index];
    const row = make("div", "item");
    row.id = `row-${place}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-posinset", String(place + 1));
    row.setAttribute("aria-setsize", String(state.shown.length));
    row.setAttribute("aria-selected", String(index === state.current));
    row.style.top = `${place * ROW_HEIGHT}px`;
    const address = imageAddress(narrative.image);
    const picture = address ? make("img", "thumb") : make("div", "thumb");
    if (picture instanceof HTMLImageElement) {
      picture.decoding = "async";
      picture.alt = "";
      picture.src = address;
    }
    row.append(picture, make("div", "item-text", make("bdi", "item-name", visible(narrative.image_id)), this.summary(narrative), this.strip(narrative)));
    row.addEventListener("click", () => {
      goTo(index);
      document.body.classList.remove("browsing");
    });
    return row;
  }

  /**
   * What a row says: the phrases that fit a search, else the start of the caption.
   * @param {Narrative} narrative
   */
  summary(narrative) {
    const alps = narrative.alps || [];
    if (asksOfAlps(state.filter)) {
      const fitting = alps.filter((alp) => alpFits(alp, state.filter)).map((alp) => visible(alp.text));
      if (fitting.length) return make("bdi", "item-caption matched", [...new Set(fitting)].slice(0, 6).join(", "));
    }
    const predictions = PAGE.images[narrative.image].predictions;
    const text = narrative.caption || (predictions ? `${predictions.length} predictions` : "");
    return make("bdi", "item-caption", visible(text.slice(0, 160)));
  }

  /** A tick for each ALP: its colour is its time, its height its quality. @param {Narrative} narrative */
  strip(narrative) {
    const strip = make("div", "strip");
    const span = spanOfTime(narrative);
    for (const alp of (narrative.alps || []).slice(0, 40)) {
      const tick = make("span", "tick");
      tick.style.backgroundColor = alpColor(alp, span);
      tick.style.height = `${Math.round(3 + 9 * alp.score)}px`;
      strip.append(tick);
    }
    return strip;
  }
}
