// Text of data into the document, as text and nothing else.
"use strict";

// Control characters, marks of direction, invisible spaces: they could hide or reorder what is read.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu;

/**
 * Text with its unseen characters written out, such as ‹U+202E›.
 * @param {string} text
 * @returns {string}
 */
function visible(text) {
  return text.replace(UNSEEN, (c) => {
    const code = /** @type {number} */ (c.codePointAt(0));
    return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
  });
}

/**
 * An element with a class and children; strings become text.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} className
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/**
 * The element of an id, which the page is known to have.
 * @param {string} id
 * @returns {any}
 */
function byId(id) {
  return document.getElementById(id);
}

/** A share as text; its unit never stands alone on a line. @param {number} share @returns {string} */
function percent(share) {
  return `${Math.round(100 * share)}\u00a0%`;
}

/** @param {number} seconds @returns {string} */
function inSeconds(seconds) {
  return `${seconds.toFixed(1)}\u00a0s`;
}
