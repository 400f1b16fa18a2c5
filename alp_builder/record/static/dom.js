// Small helpers: elements by id, new ones, texts that say something to everybody.

/** @param {string} id @returns {any} */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element #${id}`);
  return element;
}

/**
 * A new element; its text is text, never markup.
 * @param {string} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {any}
 */
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** Says something in the live region, for eyes and screen readers. @param {string} text @param {"" | "good" | "bad"} [mood] */
export function say(text, mood = "") {
  const status = byId("status");
  status.textContent = text;
  status.dataset.mood = mood;
}

/** @param {number} seconds */
export function secondsText(seconds) {
  return `${seconds.toFixed(1)} s`;
}

/** Wires the button of the theme: as the system, light, dark. */
export function setUpTheme() {
  const button = byId("theme-button");
  const themes = ["", "light", "dark"];
  let at = 0;
  const show = () => {
    document.documentElement.dataset.theme = themes[at];
    button.textContent = { "": "Auto", light: "Light", dark: "Dark" }[themes[at]] || "";
    button.setAttribute("aria-label", `Colours: ${button.textContent}`);
  };
  button.addEventListener("click", () => {
    at = (at + 1) % themes.length;
    show();
  });
  show();
}

/** Wires the help button. */
export function setUpHelp() {
  byId("help-button").addEventListener("click", () => byId("help").showModal());
}
