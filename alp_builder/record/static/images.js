// The annotator's images: which is shown, how far they have come, and pictures fetched one ahead.

import { askBlob } from "./api.js";
import { byId } from "./dom.js";

/**
 * @typedef {Object} ImageItem
 * @property {string} key
 * @property {string} id
 * @property {number} width
 * @property {number} height
 * @property {"todo" | "sending" | "done" | "returned"} state
 * @property {string} [narrative] id of the newest narrative
 * @property {string} [note] of the reviewer
 */

export class Images {
  /** @param {ImageItem[]} items */
  constructor(items) {
    this.items = items;
    this.at = 0;
    /** @type {Map<string, Promise<Blob>>} */
    this.pictures = new Map();
  }

  /** @returns {ImageItem | undefined} */
  get current() {
    return this.items[this.at];
  }

  /** The next image that needs a narrative, from a place on; -1 where none does. @param {number} from */
  nextOpen(from) {
    const count = this.items.length;
    for (let step = 0; step < count; step++) {
      const place = (from + step) % count;
      if (["todo", "returned"].includes(this.items[place].state)) return place;
    }
    return -1;
  }

  /** The picture of an image; the next one is fetched meanwhile. @param {number} place @returns {Promise<Blob>} */
  async picture(place) {
    const wanted = [place, this.nextOpen(place + 1)].filter((each) => each >= 0);
    const keys = wanted.map((each) => this.items[each].key);
    for (const key of this.pictures.keys()) if (!keys.includes(key)) this.pictures.delete(key);
    for (const key of keys) {
      if (this.pictures.has(key)) continue;
      const picture = askBlob(`/api/images/${key}`);
      picture.catch(() => this.pictures.delete(key)); // asked for again next time
      this.pictures.set(key, picture);
    }
    return /** @type {Promise<Blob>} */ (this.pictures.get(keys[0]));
  }

  /** @param {string} key @param {Partial<ImageItem>} change */
  mark(key, change) {
    const item = this.items.find((each) => each.key === key);
    if (item) Object.assign(item, change);
    this.showProgress();
  }

  showProgress() {
    const total = this.items.length;
    const saved = this.items.filter((each) => each.state === "done").length;
    byId("progress").max = total || 1;
    byId("progress").value = saved;
    byId("progress-text").textContent = `${saved} of ${total} saved`;
    byId("place").textContent = total ? `${this.at + 1} / ${total}` : "";
    byId("previous").disabled = this.at <= 0;
    byId("next").disabled = this.at >= total - 1;
  }
}
