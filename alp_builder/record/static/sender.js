// Sends what is in the outbox, one narrative after the other, until the server says that it is safe.

import { ApiError, askJson } from "./api.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;

export class Sender {
  /**
   * @param {import("./outbox.js").Shelf} shelf
   * @param {(item: import("./outbox.js").Item) => void} onSaved
   * @param {() => void} onChange told whenever what waits, or why, has changed
   */
  constructor(shelf, onSaved, onChange) {
    this.shelf = shelf;
    this.onSaved = onSaved;
    this.onChange = onChange;
    /** @type {import("./outbox.js").Item[]} */
    this.items = [];
    this.trouble = "";
    this.busy = false;
    this.wait = FIRST_WAIT;
    this.timer = 0;
    window.addEventListener("online", () => this.now());
  }

  /** Takes up what an earlier visit left. */
  async begin() {
    this.items = (await this.shelf.all()).sort((a, b) => a.made - b.made);
    this.onChange();
    this.now();
  }

  /** Keeps a narrative, then sends it. @param {import("./outbox.js").Item} item */
  async add(item) {
    await this.shelf.put(item.id, item);
    this.items.push(item);
    this.onChange();
    this.now();
  }

  /** Throws a narrative away. @param {string} id */
  async discard(id) {
    await this.shelf.remove(id);
    this.items = this.items.filter((item) => item.id !== id);
    this.onChange();
  }

  /** Sends at once. */
  now() {
    clearTimeout(this.timer);
    this.wait = FIRST_WAIT;
    this.work();
  }

  async work() {
    if (this.busy) return;
    this.busy = true;
    let item;
    while ((item = this.items.find((each) => !each.refused))) {
      try {
        await send(item);
        this.trouble = "";
        this.wait = FIRST_WAIT;
        await this.shelf.remove(item.id);
        const sent = item;
        this.items = this.items.filter((each) => each !== sent);
        this.onSaved(item);
      } catch (error) {
        if (error instanceof ApiError && error.isFinal) {
          item.refused = error.message;
          await this.shelf.put(item.id, item);
        } else {
          this.trouble = error instanceof Error ? error.message : String(error);
          this.timer = setTimeout(() => this.work(), this.wait);
          this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
          break;
        }
      }
      this.onChange();
    }
    this.busy = false;
    this.onChange();
  }
}

/** @param {import("./outbox.js").Item} item */
async function send(item) {
  const form = new FormData();
  form.append("narrative", new Blob([item.narrative], { type: "application/json" }), "narrative.json");
  form.append("recording", new Blob([item.sound], { type: item.type }), "recording");
  const told = await askJson(`/api/narratives/${item.id}`, { method: "PUT", body: form });
  if (told.id !== item.id) throw new ApiError(0, "network", "the server's answer is about something else");
}
