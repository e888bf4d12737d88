// The page that makes the browser a device: what its buttons do, and what this browser can do at all.

import { Conversation } from "./try_conversation.js";
import { chooseEncoding } from "./try_encoder.js";
import { Microphone } from "./try_microphone.js";
import { Player } from "./try_player.js";
import { part, trouble } from "./try_screen.js";

const page = document.getElementById("try");
const all = (selector) => document.querySelectorAll(selector);

/** Enables what works here, and says why the rest does not. Returns the conversation that the buttons lead. */
async function prepare() {
  const encoding = await chooseEncoding();
  const conversation = new Conversation(page, encoding);
  if (!window.isSecureContext) explainInsecure();
  else if (!encoding) part("no-encoder").hidden = false;
  part("talk").disabled = !encoding || !Microphone.isPossible;
  part("file").disabled = !encoding;
  part("file-button").dataset.disabled = String(!encoding);
  for (const button of all("[data-sample]")) button.disabled = !encoding;
  part("send").disabled = !Player.isPossible;
  if (!Player.isPossible) trouble("try.no_player");
  page.dataset.encoding = encoding ? `${encoding.configuration.sampleRate} Hz, ${encoding.frameMs} ms` : "none";
  return conversation;
}

/** A browser gives its microphone to pages over HTTPS and to those of this machine only: a tunnel makes one of the other. */
function explainInsecure() {
  const port = location.port || "80";
  part("tunnel").textContent = `ssh -N -L ${port}:localhost:${port} ${location.hostname}`;
  part("tunnel-url").textContent = `http://localhost:${port}${location.pathname}`;
  part("insecure").hidden = false;
}

function connectTalkButton(conversation) {
  const button = part("talk");
  const isHeld = () => conversation.mode === "manual";
  button.addEventListener("pointerdown", (event) => {
    if (!isHeld() || event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    conversation.press();
  });
  for (const name of ["pointerup", "pointercancel"]) button.addEventListener(name, () => conversation.letGo());
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
  button.addEventListener("click", (event) => {
    if (!isHeld()) conversation.toggle();
    else if (event.detail === 0 && conversation.isPressed) conversation.letGo(); // by a keyboard or an aid:
    else if (event.detail === 0) conversation.press(); // once to begin, once to end
  });
  connectSpaceBar(conversation, (event) => {
    const meansElse = event.target.closest?.("input:not([type=radio]), textarea, select, summary, a, button:not(#try-talk)");
    return event.key === " " && isHeld() && !button.disabled && !meansElse;
  });
}

/** The space bar talks in hold mode, wherever it means nothing else. */
function connectSpaceBar(conversation, isOurs) {
  document.addEventListener("keydown", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    if (!event.repeat) conversation.press();
  });
  document.addEventListener("keyup", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    conversation.letGo();
  });
  window.addEventListener("blur", () => conversation.letGo());
}

function connectModes(conversation) {
  const choose = (mode) => {
    conversation.choose(mode);
    for (const hint of all("[data-hint]")) hint.hidden = hint.dataset.hint !== mode;
  };
  for (const choice of all("[name=mode]")) choice.addEventListener("change", () => choose(choice.value));
  choose(document.querySelector("[name=mode]:checked").value); // a browser may remember another one than the first
}

function connectRecordings(conversation) {
  for (const button of all("[data-sample]")) {
    button.addEventListener("click", () => conversation.play(async () => (await fetch(button.dataset.sample)).arrayBuffer()));
  }
  part("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    if (file) conversation.play(() => file.arrayBuffer());
    target.value = ""; // so that the same file can be chosen again
  });
}

function connectText(conversation) {
  part("text").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = part("words");
    const text = field.value.trim();
    field.value = "";
    if (text && !(await conversation.ask(text)) && !field.value) field.value = text; // to be sent once more
  });
}

const conversation = await prepare();
connectTalkButton(conversation);
connectModes(conversation);
connectRecordings(conversation);
connectText(conversation);
part("interrupt").addEventListener("click", () => conversation.interrupt());
part("hang-up").addEventListener("click", () => conversation.hangUp());
window.addEventListener("pagehide", () => conversation.hangUp());
page.dataset.ready = "true";
