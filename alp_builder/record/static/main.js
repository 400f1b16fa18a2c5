// The annotator's page: puts the parts together.

import { ApiError, askJson, token } from "./api.js";
import { byId, say, setUpHelp, setUpTheme } from "./dom.js";
import { Flow } from "./flow.js";
import { Images } from "./images.js";
import { setUpKeys } from "./keys.js";
import { showOutbox } from "./outbox_view.js";
import { Shelf } from "./outbox.js";
import { Player } from "./player.js";
import { PointerTracker } from "./pointer.js";
import { Sender } from "./sender.js";
import { Stage } from "./stage.js";

const RETRY = 3000;

async function begin() {
  setUpTheme();
  setUpHelp();
  window.addEventListener("hashchange", () => location.reload()); // another link is another person
  if (!token) return say("This address lacks its key: open the whole link you were given.", "bad");
  const me = await whoAmI();
  if (!me) return;
  if (me.reviewer) return location.replace(`/review${location.hash}`);
  byId("who").textContent = me.name;
  document.title = `Narrate: ${me.name}`;
  const owner = `${me.session}/${me.number}`;
  const images = new Images(me.images);
  const stage = new Stage(byId("stage"), me.limits.band);
  const parts = {
    stage,
    tracker: new PointerTracker(stage),
    player: new Player(() => flow.paint()),
    drafts: new Shelf("drafts", owner),
    sender: new Sender(new Shelf("outbox", owner), (item) => saved(flow, item), () => showOutbox(parts.sender)),
  };
  const flow = new Flow(me, images, parts);
  wire(flow, me);
  await parts.sender.begin();
  for (const item of parts.sender.items) images.mark(item.image, { state: "sending" });
  if (!images.items.length) return say("No image was given to you. Ask whoever sent you the link.", "bad");
  await flow.goTo(Math.max(images.nextOpen(0), 0));
}

/** Asks until the server answers. @returns {Promise<any>} */
async function whoAmI() {
  for (;;) {
    try {
      return await askJson("/api/me");
    } catch (error) {
      const answer = /** @type {ApiError} */ (error);
      say(answer.message[0].toUpperCase() + answer.message.slice(1) + ".", "bad");
      if (answer.isFinal) return null;
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

/** @param {Flow} flow @param {import("./outbox.js").Item} item */
function saved(flow, item) {
  flow.images.mark(item.image, { state: "done", narrative: item.id });
  if (!flow.voice) say(`Saved: ${item.label}.`, "good");
  if (flow.step === "done" && flow.images.current?.key === item.image) flow.showDone();
}

/** @param {Flow} flow @param {any} me */
function wire(flow, me) {
  /** @type {Record<string, () => void>} */
  const buttons = {
    record: () => flow.toggleRecording(),
    again: () => flow.again(),
    redo: () => flow.again(),
    "go-on": () => flow.write(),
    back: () => flow.show("listen"),
    save: () => flow.save(),
    correct: () => flow.correct(),
    draft: () => flow.draft(),
    onward: () => flow.goTo(flow.images.nextOpen(flow.images.at + 1)),
    previous: () => flow.goTo(flow.images.at - 1),
    next: () => flow.goTo(flow.images.at + 1),
  };
  for (const [id, act] of Object.entries(buttons)) byId(id).addEventListener("click", act);
  byId("caption").maxLength = me.limits.caption;
  byId("caption").addEventListener("input", () => flow.typed());
  byId("draft").hidden = !me.draft;
  setUpKeys(flow);
  window.addEventListener("beforeunload", (event) => {
    if (flow.voice || (flow.sender.items.length && !flow.sender.shelf.safe)) event.preventDefault();
  });
}

begin();
