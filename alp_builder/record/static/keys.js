// The keyboard.

import { byId } from "./dom.js";

/** @param {import("./flow.js").Flow} flow */
export function setUpKeys(flow) {
  /** @type {Record<string, () => void>} */
  const keys = {
    r: () => flow.step === "speak" && flow.toggleRecording(),
    " ": () => (flow.step === "speak" ? flow.toggleRecording() : flow.take && flow.player.toggle()),
    d: () => flow.step === "listen" && flow.again(),
    Enter: () => flow.step === "listen" && flow.write(),
    n: () => flow.goTo(flow.images.at + 1),
    p: () => flow.goTo(flow.images.at - 1),
    "?": () => byId("help").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (byId("help").open) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      return flow.save();
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (flow.tracker.key(event)) return event.preventDefault();
    if (event.key === "Escape") return target.blur();
    if (target.closest("textarea, select, input")) return;
    if ((event.key === " " || event.key === "Enter") && target.closest("button")) return; // presses the button
    const act = keys[event.key];
    if (!act || event.repeat) return;
    event.preventDefault();
    act();
  });
}
