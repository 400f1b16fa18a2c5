// Replay: a slider over the narrative's time, a play button, and when each phrase was spoken.
"use strict";

const SLIDER_STEPS = 1000;

class Player {
  constructor() {
    this.element = byId("player");
    this.button = byId("play");
    this.slider = byId("time");
    this.clock = byId("clock");
    this.timeline = byId("timeline");
    this.frame = 0;
    this.before = 0;
    this.button.addEventListener("click", () => this.toggle());
    this.slider.addEventListener("input", () => {
      const span = currentSpan();
      if (span) seek(span[0] + (this.slider.value / SLIDER_STEPS) * (span[1] - span[0]));
    });
    byId("speed").addEventListener("change", (/** @type {any} */ event) => {
      state.speed = Number(event.target.value) || 1;
    });
    watch("current", () => this.draw());
    watch("time", () => this.tick());
    watch("playing", () => this.run());
  }

  /** Plays, from the start if it is at the end; or pauses. */
  toggle() {
    const span = currentSpan();
    if (!span) return;
    if (!state.playing && state.time >= span[1]) seek(span[0]);
    state.playing = !state.playing;
    changed("playing");
  }

  draw() {
    const narrative = currentNarrative();
    const span = currentSpan();
    this.element.hidden = !span;
    this.timeline.replaceChildren();
    if (!narrative || !span) return;
    const length = span[1] - span[0];
    (narrative.alps || []).forEach((alp, index) => {
      if (alp.component) return;
      const bar = make("div", "window");
      bar.style.setProperty("--c", alpColor(alp, span));
      bar.style.left = `${(100 * (alp.window[0] - span[0])) / length}%`;
      bar.style.width = `${(100 * (alp.window[1] - alp.window[0])) / length}%`;
      bar.title = visible(alp.text);
      bar.dataset.alp = String(index);
      bar.addEventListener("pointerenter", () => light({ kind: "alps", index }));
      bar.addEventListener("pointerleave", () => light(null));
      bar.addEventListener("click", () => seek(alp.window[0]));
      this.timeline.append(bar);
    });
    this.tick();
  }

  tick() {
    const span = currentSpan();
    if (!span) return;
    const at = state.time - span[0], length = span[1] - span[0];
    this.slider.value = String(Math.round((SLIDER_STEPS * at) / length));
    this.slider.style.setProperty("--at", `${(100 * at) / length}%`);
    this.clock.textContent = `${at.toFixed(1)} / ${length.toFixed(1)} s`;
    this.slider.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${length.toFixed(1)} seconds`);
  }

  /** Starts or stops the clock. */
  run() {
    this.button.classList.toggle("playing", state.playing);
    this.button.setAttribute("aria-label", state.playing ? "Pause" : "Play");
    cancelAnimationFrame(this.frame);
    if (!state.playing) return;
    this.before = performance.now();
    const advance = (/** @type {number} */ now) => {
      const span = currentSpan();
      if (!state.playing || !span) return;
      const elapsed = Math.min(Math.max(now - this.before, 0), 250) / 1000; // a hidden tab loses no narrative
      this.before = now;
      seek(state.time + elapsed * state.speed);
      if (state.time >= span[1]) {
        state.playing = false;
        changed("playing");
      } else {
        this.frame = requestAnimationFrame(advance);
      }
    };
    this.frame = requestAnimationFrame(advance);
  }
}
