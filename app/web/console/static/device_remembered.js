// What is remembered of a device: its settings, of which only what was changed is sent, and what was said with it.

import { api, busy, t, toast } from "./console.js";
import { sure } from "./sure.js";

const FIRST_MS = 1000;
const LONGEST_MS = 15_000;

const place = () => document.getElementById("remembered");
const valueOf = (input) => (input.type === "checkbox" ? input.checked : input.value);

/** `path`: of the device in the API; `id`: its own; `onForget`: called when what was said is forgotten. */
export function showRemembered(path, { id, onForget }) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("#forget");
    if (!button || !(await sure("forget"))) return;
    if (!(await busy(button, () => api("DELETE", `${path}/history`)))) return;
    onForget();
    toast(t("device.forget.done"));
  });
  if ("missing" in place().dataset) completeLater(path, () => showSettings(path, id));
  else showSettings(path, id);
}

/** A device that has just come is written down a moment later, and a database that is away comes back. */
async function completeLater(path, then) {
  for (let pause = FIRST_MS; ; pause = Math.min(2 * pause, LONGEST_MS)) {
    await new Promise((resolve) => { setTimeout(resolve, pause); });
    if (document.hidden) continue;
    try {
      await api("GET", path);
    } catch (error) {
      if (error.status === 401) return;
      continue;
    }
    const response = await fetch(location.href, { credentials: "same-origin" }).catch(() => null);
    if (!response?.ok) continue;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const remembered = fresh.getElementById("remembered");
    if (!remembered || "missing" in remembered.dataset) continue;
    place().replaceWith(document.adoptNode(remembered));
    document.querySelector("h1").textContent = fresh.querySelector("h1").textContent;
    then();
    return;
  }
}

function showSettings(path, id) {
  const form = document.getElementById("settings");
  const inputs = [...form.elements].filter((input) => input.name);
  const read = () => new Map(inputs.map((input) => [input.name, valueOf(input)]));
  let known = read();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const now = read();
    const changed = [...now].filter(([name, value]) => value !== known.get(name));
    if (changed.length) {
      if (!(await busy(form.querySelector("button"), () => api("PATCH", path, Object.fromEntries(changed))))) return;
      known = now;
      document.querySelector("h1").textContent = now.get("name") || id;
    }
    toast(t("common.saved"));
  });
  const voice = form.elements.voice;
  voice.addEventListener("focus", () => offerVoices(voice), { once: true });
  if (voice.value) offerVoices(voice);
}

/** The voices that it may have: asked for when somebody is about to choose, or has chosen one that may be of no use. */
async function offerVoices(voice) {
  let told;
  try {
    told = await api("GET", "/api/v1/voices");
  } catch {
    return; // any name can be written all the same
  }
  const options = told.voices.map(({ name, about }) => {
    const option = document.createElement("option");
    return Object.assign(option, { value: name, label: about ? `${name} · ${about}` : name });
  });
  document.getElementById("voices").replaceChildren(...options);
  document.getElementById("voice-refused").hidden = !told.refused.includes(voice.value);
}
