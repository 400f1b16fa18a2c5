// Which narratives are shown, in which order. No state here: filters in, indices out.
"use strict";

/**
 * @typedef {Object} Filter
 * @property {string} search
 * @property {number} least quality
 * @property {string} dataset
 * @property {string} split
 * @property {string} plural "", "one", "many"
 * @property {string} flag "", "group", "places", "outside", "gap"
 * @property {string} order "", "best", "worst", "most"
 */

/** @type {Filter} */
const NO_FILTER = { search: "", least: 0, dataset: "", split: "", plural: "", flag: "", order: "" };

/** @type {Record<string, (alp: Alp) => boolean>} */
const FLAGS = {
  group: (alp) => Boolean(alp.group),
  places: (alp) => (alp.components || 1) > 1,
  outside: (alp) => alp.inside < 1,
  gap: (alp) => alp.gap >= 0.4,
};

/** Whether a filter asks anything of ALPs. @param {Filter} filter */
function asksOfAlps(filter) {
  return Boolean(filter.search || filter.least > 0 || filter.plural || filter.flag);
}

/**
 * Whether an ALP fulfils all that a filter asks of ALPs.
 * @param {Alp} alp
 * @param {Filter} filter
 */
function alpFits(alp, filter) {
  if (alp.score < filter.least) return false;
  if (filter.plural && Boolean(alp.plural) !== (filter.plural === "many")) return false;
  if (filter.flag && !FLAGS[filter.flag](alp)) return false;
  return !filter.search || alp.text.toLowerCase().includes(filter.search) || alp.lemma.toLowerCase().includes(filter.search);
}

/**
 * Whether a narrative is shown: one of its ALPs fits, or a prediction's name is searched for.
 * @param {Narrative} narrative
 * @param {Filter} filter
 */
function narrativeFits(narrative, filter) {
  if (filter.dataset && narrative.dataset !== filter.dataset) return false;
  if (filter.split && narrative.split !== filter.split) return false;
  if (!asksOfAlps(filter)) return true;
  if ((narrative.alps || []).some((alp) => alpFits(alp, filter))) return true;
  if (!filter.search || filter.plural || filter.flag) return false;
  const image = PAGE.images[narrative.image];
  return (image.predictions || []).some((p) => (p.score || 0) >= filter.least && p.name.toLowerCase().includes(filter.search));
}

/** Mean quality of a narrative's ALPs. @param {Narrative} narrative */
function meanScore(narrative) {
  const alps = narrative.alps || [];
  return alps.length ? alps.reduce((sum, alp) => sum + alp.score, 0) / alps.length : 0;
}

/** @type {Record<string, (narrative: Narrative) => number>} */
const ORDERS = {
  best: (narrative) => -meanScore(narrative),
  worst: meanScore,
  most: (narrative) => -(narrative.alps || []).length,
};

/**
 * Indices of the narratives shown.
 * @param {Filter} filter
 * @returns {number[]}
 */
function chooseNarratives(filter) {
  const indices = PAGE.narratives.map((_, index) => index).filter((index) => narrativeFits(PAGE.narratives[index], filter));
  const key = ORDERS[filter.order];
  if (!key) return indices;
  const keys = new Map(indices.map((index) => [index, key(PAGE.narratives[index])]));
  return indices.sort((a, b) => Number(keys.get(a)) - Number(keys.get(b)) || a - b);
}
