// What this browser keeps until the server has it: finished narratives, and drafts of unfinished ones.
//
// Both live in IndexedDB, apart for each recording session and annotator. Where a browser forbids that (some
// private windows), they live in the page alone, and the page says so.

const NAME = "alps-record";

/**
 * @typedef {Object} Item
 * @property {string} id
 * @property {string} image key
 * @property {string} label what the image is called
 * @property {string} narrative JSON as it is sent
 * @property {ArrayBuffer} sound
 * @property {string} type of the sound
 * @property {number} made ms since 1970
 * @property {string} [refused] why the server does not want it
 */

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("outbox");
      request.result.createObjectStore("drafts");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked"));
  });
}

export class Shelf {
  /** @param {"outbox" | "drafts"} kind @param {string} owner session and annotator */
  constructor(kind, owner) {
    this.kind = kind;
    this.owner = owner;
    /** @type {Map<string, any>} */
    this.memory = new Map();
    this.safe = true;
  }

  /** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest} act @returns {Promise<any>} */
  async run(mode, act) {
    const base = await open();
    try {
      return await new Promise((resolve, reject) => {
        const transaction = base.transaction(this.kind, mode, { durability: "strict" });
        const request = act(transaction.objectStore(this.kind));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onerror = transaction.onabort = () => reject(transaction.error);
      });
    } finally {
      base.close();
    }
  }

  /** @param {string} key @param {any} value */
  async put(key, value) {
    this.memory.set(key, value);
    try {
      await this.run("readwrite", (store) => store.put(value, [this.owner, key]));
      this.safe = true;
    } catch {
      this.safe = false;
    }
  }

  /** @param {string} key */
  async get(key) {
    try {
      const kept = await this.run("readonly", (store) => store.get([this.owner, key]));
      return kept || this.memory.get(key) || null;
    } catch {
      return this.memory.get(key) || null;
    }
  }

  /** @param {string} key */
  async remove(key) {
    this.memory.delete(key);
    try {
      await this.run("readwrite", (store) => store.delete([this.owner, key]));
    } catch {
      // nothing was kept there either
    }
  }

  /** Everything of this owner. @returns {Promise<any[]>} */
  async all() {
    const range = IDBKeyRange.bound([this.owner], [this.owner, []]);
    try {
      const kept = await this.run("readonly", (store) => store.getAll(range));
      const ids = new Set(kept.map((/** @type {any} */ item) => item.id));
      return [...kept, ...[...this.memory.values()].filter((item) => !ids.has(item.id))];
    } catch {
      return [...this.memory.values()];
    }
  }
}
