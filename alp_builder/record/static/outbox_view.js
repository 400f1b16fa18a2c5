// Shows what is not saved yet, and why; what the server refuses can be downloaded or thrown away.

import { byId, make } from "./dom.js";

/** @param {import("./sender.js").Sender} sender */
export function showOutbox(sender) {
  const { items, trouble } = sender;
  byId("outbox").hidden = !items.length;
  const many = items.length === 1 ? "1 narrative is" : `${items.length} narratives are`;
  const kept = sender.shelf.safe ? "kept in this browser and sent again by itself" : "kept in this page only: do not close it";
  const waits = items.some((item) => !item.refused);
  byId("outbox-title").textContent = trouble && waits ? `${many} not saved: ${trouble}. ${items.length === 1 ? "It is" : "They are"} ${kept}.` : `${many} not saved yet`;
  byId("outbox-list").replaceChildren(...items.map((item) => line(sender, item)));
}

/** @param {import("./sender.js").Sender} sender @param {import("./outbox.js").Item} item */
function line(sender, item) {
  const entry = make("li");
  entry.append(make("bdi", "", item.label), make("span", "", item.refused ? ` was refused: ${item.refused} ` : " waits "));
  if (!item.refused) return entry;
  const again = make("button", "", "Send again");
  const download = make("button", "", "Download");
  const discard = make("button", "", "Throw away");
  for (const button of [again, download, discard]) button.type = "button";
  again.addEventListener("click", () => {
    delete item.refused;
    sender.now();
  });
  download.addEventListener("click", () => {
    offer(new Blob([item.narrative], { type: "application/json" }), `${item.id}.json`);
    offer(new Blob([item.sound], { type: item.type }), `${item.id}.${item.type.split("/")[1]}`);
  });
  discard.addEventListener("click", () => sender.discard(item.id));
  entry.append(again, download, discard);
  return entry;
}

/** @param {Blob} blob @param {string} name */
function offer(blob, name) {
  const link = make("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
