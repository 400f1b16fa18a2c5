// Plays a recording and tells the time of what is heard, so that the trace moves with the voice.

import { byId, secondsText } from "./dom.js";
import { decode } from "./voice.js";

const STEPS = 1000;

export class Player {
  /** @param {(time: number) => void} onTime told seconds, on every frame while playing */
  constructor(onTime) {
    this.onTime = onTime;
    /** @type {AudioBuffer | null} */
    this.sound = null;
    this.length = 0;
    this.time = 0;
    this.playing = false;
    byId("play").addEventListener("click", () => this.toggle());
    byId("time").addEventListener("input", () => this.seek((byId("time").value / STEPS) * this.length));
  }

  /**
   * Takes a recording; it stands at its end, with the whole trace to be seen.
   * @param {Blob | null} blob
   * @param {number} seconds its length, where it cannot be decoded
   */
  async load(blob, seconds) {
    this.pause();
    this.sound = blob && (await decode(blob));
    this.length = this.sound ? this.sound.duration : seconds;
    this.show(this.length);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  async play() {
    if (this.playing || !this.length) return;
    if (this.time >= this.length - 0.05) this.time = 0;
    this.context = this.context || new AudioContext();
    await this.context.resume();
    this.source = null;
    if (this.sound) {
      this.source = this.context.createBufferSource();
      this.source.buffer = this.sound;
      this.source.connect(this.context.destination);
      this.source.start(0, this.time);
    }
    // What is computed now is heard a little later.
    const from = this.time, latency = (this.context.outputLatency || this.context.baseLatency || 0);
    const began = this.context.currentTime + latency;
    this.setPlaying(true);
    const tick = () => {
      if (!this.playing) return;
      const time = from + Math.max(0, /** @type {AudioContext} */ (this.context).currentTime - began);
      if (time >= this.length) {
        this.pause();
        this.show(this.length);
      } else {
        this.show(time);
        requestAnimationFrame(tick);
      }
    };
    tick();
  }

  pause() {
    if (this.source) this.source.stop();
    this.source = null;
    this.setPlaying(false);
  }

  /** @param {number} time */
  seek(time) {
    const wasPlaying = this.playing;
    this.pause();
    this.show(Math.min(Math.max(time, 0), this.length));
    if (wasPlaying) this.play();
  }

  /** @param {boolean} playing */
  setPlaying(playing) {
    this.playing = playing;
    byId("play").classList.toggle("playing", playing);
    byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  /** @param {number} time */
  show(time) {
    this.time = time;
    byId("time").value = String(this.length ? Math.round((STEPS * time) / this.length) : 0);
    byId("time").setAttribute("aria-valuetext", `${time.toFixed(1)} of ${this.length.toFixed(1)} seconds`);
    byId("time-text").textContent = `${time.toFixed(1)} / ${secondsText(this.length)}`;
    this.onTime(time);
  }
}
