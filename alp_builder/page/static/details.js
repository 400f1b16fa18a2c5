// Beside the caption: every ALP, prediction and thing of truth with its figures.
"use strict";

class Details {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    /** @type {{element: HTMLElement, lit: Lit}[]} */
    this.rows = [];
    watch("current", () => this.draw());
    watch("shown", () => this.mark());
    watch("layers", () => this.draw());
    watch("lit", () => this.mark());
  }

  draw() {
    const narrative = currentNarrative();
    this.rows = [];
    this.element.replaceChildren();
    if (!narrative) return;
    const alps = narrative.alps || [];
    if (alps.length) this.section(`${alps.length} ${alps.length === 1 ? "ALP" : "ALPs"}`, alps.map((alp, i) => this.alpRow(alp, i)));
    const { predictions, truth, more } = PAGE.images[narrative.image];
    if (predictions) {
      const shown = shownThings(narrative, "predictions");
      const hidden = predictions.length - shown.length;
      const below = hidden ? `, ${hidden} below ${state.threshold.toFixed(2)}` : "";
      const title = `${shown.length} predictions${below}${more ? `, ${more} lower ones not on this page` : ""}`;
      this.section(title, shown.map(({ thing, index }) => this.thingRow(thing, { kind: "predictions", index })));
    }
    if (truth) this.section(`${truth.length} in the truth`, truth.map((thing, index) => this.thingRow(thing, { kind: "truth", index })));
    this.mark();
  }

  /** @param {string} title @param {HTMLElement[]} rows */
  section(title, rows) {
    this.element.append(make("section", "", make("h3", "", title), make("div", "rows", ...rows)));
  }

  /** @param {Alp} alp @param {number} index */
  alpRow(alp, index) {
    const flags = [];
    if (alp.plural) flags.push("plural");
    if (alp.group) flags.push("group");
    if ((alp.components || 1) > 1) flags.push(`place ${(alp.component || 0) + 1} of ${alp.components}`);
    const facts = [
      `${inSeconds(alp.window[0])} to ${inSeconds(alp.window[1])}`,
      `${alp.points} points`,
      `dwelt ${inSeconds(alp.dwell)} (${percent(alp.steady)})`,
    ];
    if (alp.inside < 1) facts.push(`${percent(alp.inside)} inside`);
    if (alp.gap >= 0.4) facts.push(`gap ${inSeconds(alp.gap)}`);
    return this.row({ kind: "alps", index }, alp.text, alpColor(alp, currentSpan()), alp.score, flags, facts.map((fact) => fact.replaceAll(" ", "\u00a0")).join(" · "));
  }

  /** @param {Thing} thing @param {Lit} lit */
  thingRow(thing, lit) {
    return this.row(lit, thing.name, nameColor(thing.name), thing.score, [], "");
  }

  /**
   * @param {Lit} lit
   * @param {string} name
   * @param {string} color
   * @param {number | undefined} score
   * @param {string[]} flags
   * @param {string} facts
   */
  row(lit, name, color, score, flags, facts) {
    const row = make("button", "row");
    row.type = "button";
    row.style.setProperty("--c", color);
    const first = make("span", "row-first", make("bdi", "row-name", visible(name)), ...flags.map((flag) => make("span", "flag", flag)));
    row.append(first);
    if (score !== undefined) {
      const bar = make("span", "bar-of-score");
      bar.style.setProperty("--share", String(score));
      row.append(bar, make("span", "score", score.toFixed(2)));
    }
    if (facts) row.append(make("span", "facts", facts));
    lightsOn(row, lit);
    this.rows.push({ element: row, lit });
    return row;
  }

  mark() {
    const narrative = currentNarrative();
    const lit = litNow();
    for (const { element, lit: own } of this.rows) {
      element.classList.toggle("lit", sameLit(own, lit));
      element.setAttribute("aria-pressed", String(sameLit(own, state.pinned)));
      const alp = own.kind === "alps" && narrative && narrative.alps ? narrative.alps[own.index] : null;
      element.classList.toggle("dim", Boolean(alp) && asksOfAlps(state.filter) && !alpFits(/** @type {Alp} */ (alp), state.filter));
    }
  }
}
