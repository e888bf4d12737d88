// The conversation as text: one bubble for what a person said, one for each reply.

import { t } from "./console.js";

const MOST = 100;

export class Talk {
  constructor(element) {
    this._element = element;
    this._reply = null;
  }

  heard(text) {
    this._reply = null;
    this._add("heard", t("try.you"), text);
  }

  /** One more sentence of the reply. */
  said(text) {
    if (this._reply) this._reply.textContent += ` ${text}`;
    else this._reply = this._add("said", t("try.server"), text);
    this._scroll();
  }

  /** The next sentence belongs to another reply. */
  replied() {
    this._reply = null;
  }

  alert(text) {
    this._add("alert", t("try.alert"), text);
  }

  _add(kind, who, text) {
    document.getElementById("try-empty")?.remove();
    const bubble = document.createElement("p");
    bubble.className = "try-bubble";
    bubble.dataset.kind = kind;
    const speaker = document.createElement("span");
    speaker.className = "unseen";
    speaker.textContent = `${who}: `;
    const words = document.createElement("span");
    words.textContent = text;
    bubble.append(speaker, words);
    this._element.append(bubble);
    while (this._element.childElementCount > MOST) this._element.firstElementChild.remove();
    this._scroll();
    return words;
  }

  _scroll() {
    this._element.scrollTop = this._element.scrollHeight;
  }
}
