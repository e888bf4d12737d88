// What went over the WebSocket, for engineers: the JSON both ways, without its secrets, and how much audio in between.

import { t } from "./console.js";

const MOST = 200;
const SECRET = /token|password|authorization|secret|^key$/i;

export class Journal {
  constructor(element, now = () => new Date()) {
    this._element = element;
    this._now = now;
    this._audio = {}; // the line of each direction since the last message
  }

  /** `direction`: in | out. */
  message(direction, document_) {
    this._audio = {};
    this._add(direction, JSON.stringify(document_, (name, value) => (SECRET.test(name) && typeof value === "string" ? "•••" : value)));
  }

  audio(direction, bytes) {
    const line = (this._audio[direction] ??= { packets: 0, bytes: 0, element: this._add(direction, "") });
    line.packets += 1;
    line.bytes += bytes;
    line.element.textContent = t("try.log.audio", { packets: line.packets, bytes: line.bytes });
  }

  _add(direction, text) {
    const line = document.createElement("li");
    line.dataset.direction = direction;
    const time = document.createElement("span");
    time.className = "faint";
    time.textContent = `${this._now().toISOString().slice(11, 23)} ${direction === "in" ? "←" : "→"} `;
    time.setAttribute("aria-label", t(`try.log.${direction}`));
    const words = document.createElement("span");
    words.textContent = text;
    line.append(time, words);
    this._element.append(line);
    while (this._element.childElementCount > MOST) this._element.firstElementChild.remove();
    return words;
  }
}
