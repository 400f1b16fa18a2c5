// One narrative from speaking to saving: speak, listen, write; and what is shown of an image that is done.

import { ApiError, askBlob, askJson } from "./api.js";
import { byId, say, secondsText } from "./dom.js";
import { shifted } from "./trace.js";
import { Voice, obstacle, reasonOf } from "./voice.js";

const SAVE_DRAFT_AFTER = 400; // ms without a key
const LEAST_SECONDS = 1;

/**
 * @typedef {Object} Take what was recorded of an image, as it is kept in this browser until it is sent
 * @property {string} image key
 * @property {ArrayBuffer} sound
 * @property {string} type
 * @property {number} seconds
 * @property {import("./trace.js").Segments} traces
 * @property {any} clock
 * @property {string} caption
 * @property {boolean} silent
 */

/**
 * @typedef {Object} Parts
 * @property {import("./stage.js").Stage} stage
 * @property {import("./pointer.js").PointerTracker} tracker
 * @property {import("./player.js").Player} player
 * @property {import("./sender.js").Sender} sender
 * @property {import("./outbox.js").Shelf} drafts
 */

export class Flow {
  /** @param {any} me @param {import("./images.js").Images} images @param {Parts} parts */
  constructor(me, images, { stage, tracker, player, sender, drafts }) {
    this.me = me;
    this.images = images;
    this.stage = stage;
    this.tracker = tracker;
    this.player = player;
    this.sender = sender;
    this.drafts = drafts;
    this.step = "speak";
    /** @type {Take | null} */
    this.take = null;
    /** @type {Voice | null} */
    this.voice = null;
    this.ticking = 0;
    this.saving = 0;
    this.starting = false;
  }

  /** Goes to an image. @param {number} place */
  async goTo(place) {
    if (this.voice || place < 0 || place >= this.images.items.length) return;
    this.images.at = place;
    const item = this.images.items[place];
    this.player.pause();
    this.take = null;
    this.stage.clear();
    byId("image-name").textContent = item.id;
    byId("returned").hidden = item.state !== "returned";
    byId("returned-note").textContent = item.note || "";
    this.images.showProgress();
    this.show(item.state === "todo" ? "speak" : "done");
    const draft = await this.drafts.get(item.key);
    let picture = null, problem = "";
    try {
      picture = await this.images.picture(place);
    } catch (error) {
      problem = `The image cannot be fetched: ${/** @type {Error} */ (error).message}.`;
    }
    if (this.images.at !== place) return;
    await this.stage.show(picture, item, problem);
    if (draft && this.images.at === place) {
      await this.use(draft);
      say("This recording was kept in this browser, and is not saved yet.");
    }
  }

  /** Shows a step. @param {"speak" | "listen" | "write" | "done"} step */
  show(step) {
    this.step = step;
    for (const name of ["speak", "listen", "write", "done"]) byId(name).hidden = name !== step;
    for (const each of document.querySelectorAll(".steps li")) {
      if (/** @type {HTMLElement} */ (each).dataset.step === step) each.setAttribute("aria-current", "step");
      else each.removeAttribute("aria-current");
    }
    byId("player").hidden = !this.take || step === "speak";
    if (step === "speak") byId("clock").textContent = secondsText(0);
    byId("record").disabled = Boolean(obstacle());
    if (obstacle()) say(obstacle(), "bad");
    if (step === "done") this.showDone();
  }

  showDone() {
    const item = this.images.current;
    if (!item) return;
    const open = this.images.nextOpen(this.images.at);
    /** @type {Record<string, string>} */
    const notes = { sending: "This narrative is on its way to the server.", done: "This image is narrated and saved.", returned: "Record it again, or correct the caption." };
    byId("done-note").textContent = open < 0 && item.state !== "returned" ? `${notes[item.state]} Nothing is left to do: thank you!` : notes[item.state] || "";
    byId("onward").hidden = open < 0 || open === this.images.at;
    byId("correct").hidden = !item.narrative;
  }

  /** Records, or stops. */
  async toggleRecording() {
    if (this.voice) return this.stopRecording();
    if (this.starting || obstacle()) return;
    this.starting = true;
    this.player.pause();
    say("Opening the microphone …");
    const voice = new Voice(this.me.limits.voice_bits, (level) => byId("level").style.setProperty("--level", String(level)));
    try {
      const zero = await voice.start();
      this.voice = voice;
      this.tracker.start(zero);
      voice.onEnd(() => this.voice === voice && this.stopRecording());
      this.setRecording(true);
      say("Recording. Speak, and point.");
      this.ticking = setInterval(() => {
        const seconds = (performance.now() - zero) / 1000;
        byId("clock").textContent = secondsText(seconds);
        if (seconds >= this.me.limits.seconds - 1) this.stopRecording();
      }, 100);
    } catch (error) {
      say(reasonOf(error), "bad");
    } finally {
      this.starting = false;
    }
  }

  /** @param {boolean} recording */
  setRecording(recording) {
    document.body.classList.toggle("is-recording", recording);
    byId("record").textContent = recording ? "Stop" : "Record";
    for (const id of ["previous", "next"]) byId(id).disabled = recording;
    if (!recording) this.images.showProgress();
  }

  async stopRecording() {
    const voice = this.voice;
    if (!voice) return;
    this.voice = null;
    clearInterval(this.ticking);
    const trace = this.tracker.stop();
    this.setRecording(false);
    say("One moment …");
    const taken = await voice.stop();
    if (taken.seconds < LEAST_SECONDS) {
      this.stage.clear();
      return say("That was too short; press Record and speak.", "bad");
    }
    const image = /** @type {any} */ (this.images.current).key;
    const take = {
      image, type: taken.blob.type, seconds: taken.seconds, traces: shifted(trace.segments, taken.shift), clock: taken.clock,
      caption: "", silent: taken.silent, sound: await taken.blob.arrayBuffer(),
    };
    await this.drafts.put(image, take);
    await this.use(take);
    if (taken.silent) say("Nothing was heard: check the microphone, and do it again.", "bad");
    else if (!take.traces.length) say("The pointer was not over the image: do it again, and point while you speak.", "bad");
    else say(this.drafts.safe ? "Recorded. It is kept in this browser until it is saved." : "Recorded, but this browser keeps nothing: do not close the page before it is saved.", this.drafts.safe ? "" : "bad");
    byId("play").focus();
  }

  /** Shows a take. @param {Take} take */
  async use(take) {
    this.take = take;
    byId("caption").value = take.caption;
    byId("draft-note").hidden = true;
    this.stage.repaint = () => this.paint();
    await this.player.load(new Blob([take.sound], { type: take.type }), take.seconds);
    this.show(take.caption ? "write" : "listen");
  }

  /** Draws the trace as of the time that is heard. */
  paint() {
    if (this.take && !this.voice) this.stage.drawAt(this.take.traces, this.take.seconds, this.player.time);
  }

  /** Throws the take away, to do it again. */
  async again() {
    if (!this.take && this.step !== "done") return;
    this.player.pause();
    const item = this.images.current;
    if (!item) return;
    this.take = null;
    await this.drafts.remove(item.key);
    this.stage.clear();
    this.show("speak");
    say("");
    byId("record").focus();
  }

  write() {
    if (!this.take) return;
    this.show("write");
    byId("caption").focus();
  }

  /** Keeps what is typed, a moment after the last key. */
  typed() {
    const take = this.take;
    if (!take) return;
    take.caption = byId("caption").value;
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.take === take && this.drafts.put(take.image, take), SAVE_DRAFT_AFTER);
  }

  /** Saves: into this browser at once, and to the server as soon as it answers. */
  async save() {
    const take = this.take, item = this.images.current;
    if (!take || !item || this.step !== "write") return;
    const caption = byId("caption").value.trim();
    if (!caption) {
      say("Type what you said first.", "bad");
      return byId("caption").focus();
    }
    if (caption.length > this.me.limits.caption) return say(`The caption is longer than ${this.me.limits.caption} characters.`, "bad");
    clearTimeout(this.saving);
    this.player.pause();
    this.take = null; // pressed twice, it is sent once
    const id = crypto.randomUUID();
    const narrative = JSON.stringify({ id, image: item.key, caption, traces: take.traces, seconds: take.seconds, clock: take.clock, agent: navigator.userAgent.slice(0, 400) });
    this.images.mark(item.key, { state: "sending", narrative: undefined, note: "" });
    say("Sending …");
    await this.sender.add({ id, image: item.key, label: item.id, narrative, sound: take.sound, type: take.type, made: Date.now() });
    await this.drafts.remove(item.key);
    const next = this.images.nextOpen(this.images.at + 1);
    await this.goTo(next < 0 ? this.images.at : next);
    byId("main").focus({ preventScroll: true });
  }

  /** Fetches the newest narrative, to correct its caption. */
  async correct() {
    const item = this.images.current;
    if (!item || !item.narrative) return;
    try {
      const [narrative, blob] = await Promise.all([askJson(`/api/narratives/${item.narrative}`), askBlob(`/api/narratives/${item.narrative}/recording`)]);
      await this.use({ image: item.key, sound: await blob.arrayBuffer(), type: blob.type, seconds: narrative.seconds, traces: narrative.traces, clock: narrative.clock, caption: narrative.caption, silent: false });
      byId("caption").focus();
    } catch (error) {
      say(`It cannot be fetched: ${/** @type {Error} */ (error).message}.`, "bad");
    }
  }

  /** Asks the server for a draft of the caption. */
  async draft() {
    const take = this.take;
    if (!take) return;
    byId("draft").disabled = true;
    say("Drafting: this takes about as long as the recording.");
    try {
      const told = await askJson("/api/draft", { method: "POST", body: new Blob([take.sound], { type: take.type }) });
      if (this.take !== take) return;
      byId("caption").value = told.text;
      byId("draft-note").hidden = false;
      this.typed();
      say(told.text ? "" : "Nothing was understood; type it yourself.");
    } catch (error) {
      say(error instanceof ApiError ? error.message : String(error), "bad");
    } finally {
      byId("draft").disabled = false;
    }
  }
}
