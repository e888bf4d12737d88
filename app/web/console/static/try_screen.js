// What the page shows of the conversation's state: badge, button, what is wrong, how loud it is.

import { t } from "./console.js";
import { NoMicrophone } from "./try_microphone.js";
import { NoRecording } from "./try_recording.js";
import { SessionFault } from "./try_session.js";

const SIGNS = { listening: "ok", speaking: "ok", connecting: "warn", thinking: "warn" };

/** The element of the page with this name. */
export const part = (name) => document.getElementById(`try-${name}`);

/** `state`: the session's, or closed; `mode`: as chosen; `isHandsFree`: whether the microphone is on by itself. */
export function showState(state, mode, isHandsFree) {
  document.getElementById("try").dataset.state = state;
  part("state").dataset.state = SIGNS[state] ?? "";
  say("state", t(`try.state.${state}`));
  part("talk").dataset.state = state;
  say("talk-text", t(`try.talk.${deed(state, mode, isHandsFree)}`));
  part("hang-up").hidden = state === "closed";
  part("interrupt").hidden = state !== "speaking";
}

/** What the button does now. */
function deed(state, mode, isHandsFree) {
  if (mode === "manual") return state === "listening" ? "release" : "hold";
  if (!isHandsFree) return "start";
  return state === "speaking" ? "interrupt" : "stop";
}

/** A sentence about what is wrong. */
export function trouble(key, values = {}) {
  say("trouble", t(key, values));
  part("trouble").hidden = false;
}

export function noTrouble() {
  part("trouble").hidden = true;
}

/** What was thrown, in the page's words; a sentence of the server's own stays as it is. */
export function showFault(error) {
  if (error instanceof NoMicrophone) trouble(`try.microphone.${error.reason}`);
  else if (error instanceof NoRecording) trouble(`try.file.${error.reason}`);
  else if (error instanceof SessionFault) trouble(`try.session.${error.reason}`, { said: error.said, url: part("url").textContent });
  else trouble("try.fault", { said: error.message });
}

/** How loud the microphone is, from −60 dB (nothing) to 0 dB. `level`: root mean square. */
export function showLevel(level) {
  const share = Math.min(1, Math.max(0, 1 + Math.log10(Math.max(level, 1e-6)) / 3));
  part("level").value = Math.round(share * 100);
}

/** Writes only what is new: a screen reader says it again otherwise. */
function say(name, text) {
  if (part(name).textContent !== text) part(name).textContent = text;
}
