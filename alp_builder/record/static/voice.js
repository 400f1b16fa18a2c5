// Records the voice, and finds the zero of its clock.

import { findZero } from "./clock.js";

const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
const LEVEL_SIZE = 1024;

/**
 * @typedef {Object} Take
 * @property {Blob} blob
 * @property {number} seconds length of the recording
 * @property {number} shift seconds to add to times counted from the call that started it
 * @property {import("./clock.js").Clock} clock
 * @property {boolean} silent whether nothing was heard
 */

/** Why this browser cannot record here, or "". */
export function obstacle() {
  if (!window.isSecureContext) return "Browsers give the microphone only to pages on this computer or over https.";
  if (!navigator.mediaDevices || !window.MediaRecorder) return "This browser cannot record sound.";
  return "";
}

/** @param {any} error @returns {string} */
export function reasonOf(error) {
  switch (error && error.name) {
    case "NotAllowedError":
      return "The microphone was not allowed. Allow it for this page in the browser, then press Record again.";
    case "NotFoundError":
      return "No microphone was found. Plug one in, then press Record again.";
    case "NotReadableError":
      return "The microphone is in use by another program.";
    default:
      return `The microphone cannot be used (${(error && error.message) || error}).`;
  }
}

export class Voice {
  /** @param {number} bits a second @param {(level: number) => void} onLevel told 0 to 1, a few times a second */
  constructor(bits, onLevel) {
    this.bits = bits;
    this.onLevel = onLevel;
    /** @type {Blob[]} */
    this.pieces = [];
    this.timer = 0;
    this.called = this.started = 0; // ms of performance.now()
    /** @type {AudioContext | null} */
    this.context = null;
  }

  /** Opens the microphone and records. @returns {Promise<number>} the zero, in ms of performance.now(), as far as it is known now */
  async start() {
    // The voice as it is: what cancels echoes and noise delays the sound, and eats syllables.
    const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    try {
      const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
      const recorder = (this.recorder = new MediaRecorder(this.stream, { mimeType, audioBitsPerSecond: this.bits }));
      recorder.addEventListener("dataavailable", (event) => event.data.size && this.pieces.push(event.data));
      const started = new Promise((resolve, reject) => {
        recorder.addEventListener("start", () => resolve(performance.now()), { once: true });
        recorder.addEventListener("error", (/** @type {any} */ event) => reject(event.error || event), { once: true });
      });
      this.called = performance.now();
      recorder.start();
      this.started = await started;
    } catch (error) {
      this.close();
      throw error;
    }
    this.watchLevel();
    return this.called;
  }

  /** Whether the microphone went away. @param {() => void} tell */
  onEnd(tell) {
    for (const track of this.stream?.getTracks() || []) track.addEventListener("ended", tell, { once: true });
  }

  /** Stops. @returns {Promise<Take>} */
  async stop() {
    const recorder = /** @type {MediaRecorder} */ (this.recorder);
    const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
    const called = performance.now();
    if (recorder.state !== "inactive") {
      recorder.stop();
      await stopped;
    }
    this.close();
    const blob = new Blob(this.pieces, { type: recorder.mimeType.split(";")[0] });
    const sound = await decode(blob);
    const seconds = sound ? sound.duration : (called - this.started) / 1000;
    const { zero, clock } = findZero({ called: this.called, started: this.started, stopped: called, seconds, decoded: Boolean(sound) });
    return { blob, seconds, shift: (this.called - zero) / 1000, clock, silent: sound !== null && isSilent(sound) };
  }

  /** Lets go of the microphone. */
  close() {
    clearInterval(this.timer);
    for (const track of this.stream?.getTracks() || []) track.stop();
    this.context?.close().catch(() => {});
    this.context = null;
    this.onLevel(0);
  }

  watchLevel() {
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    analyser.fftSize = LEVEL_SIZE;
    this.context.createMediaStreamSource(/** @type {MediaStream} */ (this.stream)).connect(analyser);
    const samples = new Float32Array(LEVEL_SIZE);
    this.timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const loudest = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
      this.onLevel(Math.min(1, Math.sqrt(loudest)));
    }, 80);
  }
}

const DECODED_RATE = 24000;
const SILENCE = 0.003;

/** The sound of a recording, or null where the browser cannot decode it. @param {Blob} blob @returns {Promise<AudioBuffer | null>} */
export async function decode(blob) {
  try {
    return await new OfflineAudioContext(1, 1, DECODED_RATE).decodeAudioData(await blob.arrayBuffer());
  } catch {
    return null;
  }
}

/** @param {AudioBuffer} sound */
function isSilent(sound) {
  return sound.getChannelData(0).every((sample) => Math.abs(sample) < SILENCE);
}
