// The reviewer's page: a list of narratives, one of them shown, accepted or returned.

import { ApiError, askBlob, askJson, token } from "./api.js";
import { byId, make, say, setUpHelp, setUpTheme } from "./dom.js";
import { NarrativeView } from "./narrative_view.js";
import { Stage } from "./stage.js";

const REFRESH = 5000;
const BAND = 0.08; // replaced by the server's
const MARKS = { flagged: "flagged", accepted: "accepted", returned: "returned", waiting: "waiting", aligned: "" };

class Review {
  /** @param {any} me */
  constructor(me) {
    this.view = new NarrativeView(new Stage(byId("stage"), me.limits.band ?? BAND));
    /** @type {any[]} */
    this.all = [];
    this.chosen = "";
    this.loading = 0;
    byId("filter").addEventListener("change", () => this.draw(true));
    byId("accept").addEventListener("click", () => this.decide("accepted"));
    byId("return").addEventListener("click", () => this.decide("returned"));
    byId("previous").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
    this.setUpKeys();
  }

  async refresh() {
    try {
      const told = await askJson("/api/review");
      this.all = told.narratives;
      byId("who").textContent = told.dataset;
      const reviewed = this.all.filter((each) => each.decision).length;
      byId("progress").max = told.expected || 1;
      byId("progress").value = this.all.length;
      byId("progress-text").textContent = `${this.all.length} of ${told.expected} recorded, ${reviewed} reviewed`;
      if (told.missing) say(`Words have no times: ${told.missing}.`, "bad");
      const before = this.view.narrative;
      this.draw(false);
      const now = this.all.find((each) => keyOf(each) === this.chosen);
      if (now && before && now.state !== before.state) this.open(now);
    } catch (error) {
      say(`${/** @type {ApiError} */ (error).message}.`, "bad");
      if (/** @type {ApiError} */ (error).isFinal) return;
    }
    setTimeout(() => this.refresh(), REFRESH);
  }

  /** The narratives that the filter lets through. */
  shown() {
    const filter = byId("filter").value;
    return this.all.filter((each) => {
      const mark = each.decision || (each.state === "flagged" ? "flagged" : "open");
      return !filter || mark === filter || keyOf(each) === this.chosen;
    });
  }

  /** Draws the list. @param {boolean} fresh whether the filter has changed */
  draw(fresh) {
    if (fresh) this.chosen = "";
    const shown = this.shown();
    byId("count").textContent = shown.length === 1 ? "1 narrative" : `${shown.length} narratives`;
    const focused = document.activeElement?.closest(".queue-list") !== null && document.activeElement !== document.body;
    byId("queue-list").replaceChildren(...shown.map((each) => this.line(each)));
    if (focused) /** @type {any} */ (document.querySelector('.queue-list [aria-current="true"]'))?.focus();
    const at = shown.findIndex((each) => keyOf(each) === this.chosen);
    byId("place").textContent = shown.length ? `${at + 1} / ${shown.length}` : "";
    byId("previous").disabled = at <= 0;
    byId("next").disabled = at >= shown.length - 1;
    if (at < 0 && shown.length) this.open(shown[0]);
    else if (!shown.length) this.empty();
  }

  empty() {
    this.chosen = "";
    this.view.clear();
    byId("narrative").hidden = true;
    byId("flag").hidden = true;
    byId("image-name").textContent = "Nothing here";
  }

  /** @param {any} each */
  line(each) {
    const item = make("li"), button = make("button");
    button.type = "button";
    if (keyOf(each) === this.chosen) button.setAttribute("aria-current", "true");
    const mark = each.decision || each.state;
    const text = make("span", "mark", MARKS[/** @type {keyof MARKS} */ (mark)] || "");
    text.dataset.mark = mark;
    button.append(make("bdi", "image", each.image.id), make("bdi", "by", `${each.name}, ${each.seconds.toFixed(0)} s`), text);
    button.addEventListener("click", () => this.open(each));
    item.append(button);
    return item;
  }

  /** Shows a narrative. @param {any} each */
  async open(each) {
    const key = (this.chosen = keyOf(each));
    this.draw(false);
    try {
      const path = `/api/review/${each.annotator}/${each.id}`;
      const [narrative, sound, picture] = await Promise.all([askJson(path), askBlob(`${path}/recording`), askBlob(`/api/images/${each.image.key}`).catch(() => null)]);
      if (this.chosen !== key) return;
      byId("note").value = narrative.note;
      await this.view.show(narrative, sound, picture);
      say("");
    } catch (error) {
      say(`It cannot be fetched: ${/** @type {Error} */ (error).message}.`, "bad");
    }
  }

  /** @param {number} by */
  step(by) {
    const shown = this.shown();
    const at = shown.findIndex((each) => keyOf(each) === this.chosen) + by;
    if (at >= 0 && at < shown.length) this.open(shown[at]);
  }

  /** @param {"accepted" | "returned"} decision */
  async decide(decision) {
    const narrative = this.view.narrative;
    if (!narrative) return;
    const note = decision === "returned" ? byId("note").value.trim() : "";
    if (decision === "returned" && !note) {
      say("Say in the note what is wrong: its annotator will read it.", "bad");
      return byId("note").focus();
    }
    try {
      const body = JSON.stringify({ decision, note });
      const told = await askJson(`/api/review/${narrative.annotator}/${narrative.id}`, { method: "POST", body });
      const after = this.shown().findIndex((each) => keyOf(each) === this.chosen) + 1;
      const next = this.shown()[after];
      this.all = this.all.map((each) => (keyOf(each) === keyOf(told) ? told : each));
      this.chosen = "";
      if (next) await this.open(next);
      else this.draw(false);
      say(decision === "accepted" ? `Accepted: ${told.image.id}.` : `Returned: ${told.image.id}.`, "good");
    } catch (error) {
      say(`Not saved: ${/** @type {Error} */ (error).message}.`, "bad");
    }
  }

  setUpKeys() {
    /** @type {Record<string, () => void>} */
    const keys = {
      j: () => this.step(1),
      k: () => this.step(-1),
      a: () => this.decide("accepted"),
      x: () => this.decide("returned"),
      " ": () => this.view.player.toggle(),
      "?": () => byId("help").showModal(),
    };
    document.addEventListener("keydown", (event) => {
      if (byId("help").open || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      const target = /** @type {HTMLElement} */ (event.target);
      if (event.key === "Escape") return target.blur();
      if (target.closest("input[type=text], select, textarea")) return;
      if (event.key === " " && target.closest("button, input")) return;
      const act = keys[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  }
}

/** @param {any} narrative */
function keyOf(narrative) {
  return `${narrative.annotator}/${narrative.id}`;
}

async function begin() {
  setUpTheme();
  setUpHelp();
  window.addEventListener("hashchange", () => location.reload());
  if (!token) return say("This address lacks its key: open the whole link you were given.", "bad");
  try {
    const me = await askJson("/api/me");
    if (!me.reviewer) return location.replace(`/${location.hash}`);
    await new Review(me).refresh();
  } catch (error) {
    say(`${/** @type {Error} */ (error).message}.`, "bad");
  }
}

begin();
