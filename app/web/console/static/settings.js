// The settings: tests of recognizer, mind and voice, tokens, and the search among the values.

import { answerOf, api, ApiError, busy, csrf, t, toast } from "./console.js";
import { sure } from "./sure.js";

// Tests

/** An element with a class and a text. */
function made(kind, className, text) {
  const element = document.createElement(kind);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Milliseconds as people read them. */
function duration(ms) {
  if (ms < 1000) return t("settings.tests.milliseconds", { count: ms });
  return t("settings.tests.seconds", { count: (ms / 1000).toFixed(1) });
}

function figures(stage, answer) {
  const box = made("div", "figures");
  for (const name of ["first", "whole", "audio"]) {
    const ms = answer[`${name}_ms`];
    if (ms === undefined) continue;
    const figure = made("div", "figure");
    figure.append(made("b", "", duration(ms)), made("span", "", t(`settings.${stage}.${name}`)));
    box.append(figure);
  }
  return box;
}

function quote(label, text) {
  const box = made("div", "quote");
  box.append(made("span", "", label), text);
  return box;
}

function player(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const audio = made("audio");
  audio.controls = true;
  audio.setAttribute("aria-label", t("settings.tts.player"));
  audio.src = URL.createObjectURL(new Blob([bytes], { type: "audio/ogg; codecs=opus" }));
  return audio;
}

function show(outcome, stage, answer) {
  const state = answer.ok ? "ok" : "bad";
  const notice = made("p", "notice", t(answer.ok ? "settings.tests.works" : "settings.tests.fails", { fault: t(`settings.fault.${answer.code}`) }));
  notice.dataset.state = state;
  if (!answer.ok) notice.append(made("small", "", answer.error));
  outcome.dataset.state = state;
  outcome.append(notice);
  if (!answer.ok) return;
  outcome.append(figures(stage, answer));
  if (stage === "tts") outcome.append(quote(answer.text, player(answer.audio)));
  if (stage === "asr") {
    if (answer.said) outcome.append(quote(t("settings.asr.said"), answer.said));
    outcome.append(quote(t("settings.asr.heard"), answer.text || t("settings.asr.nothing")));
  }
  if (stage === "llm") {
    outcome.append(quote(t("settings.llm.said"), answer.said), quote(t("settings.llm.answer"), answer.text));
  }
}

/** A recording is the body of its request, as it is. */
async function hear(recording, most, language) {
  if (recording.size > most) throw new ApiError(413, t("settings.asr.too_large"));
  const path = `/api/v1/tests/asr?language=${encodeURIComponent(language)}`;
  const headers = { Accept: "application/json", "Content-Type": "application/octet-stream", ...csrf };
  return answerOf(fetch(path, { method: "POST", headers, body: recording, credentials: "same-origin" }));
}

function ask(form, stage, language) {
  const recording = form.recording?.files[0];
  if (recording) return hear(recording, Number(form.recording.dataset.most), language);
  const wish = { language };
  for (const name of ["text", "voice"]) {
    const value = form[name]?.value.trim();
    if (value) wish[name] = value;
  }
  return api("POST", `/api/v1/tests/${stage}`, wish);
}

for (const form of document.querySelectorAll("form[data-stage]")) {
  const outcome = form.querySelector(".outcome");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const audio of outcome.querySelectorAll("audio")) URL.revokeObjectURL(audio.src);
    delete outcome.dataset.state;
    outcome.replaceChildren(made("p", "faint", t("settings.tests.running")));
    busy(form.querySelector("button"), async () => {
      try {
        const answer = await ask(form, form.dataset.stage, document.getElementById("language").value);
        outcome.replaceChildren();
        show(outcome, form.dataset.stage, answer);
      } catch (error) {
        outcome.replaceChildren();
        throw error;
      }
    });
  });
}

document.querySelector("input[name=voice]")?.addEventListener("focus", async () => {
  const offered = await api("GET", "/api/v1/voices").catch(() => ({ voices: [] }));
  const options = offered.voices.map(({ name, about }) => {
    const option = made("option");
    option.value = name;
    option.label = about;
    return option;
  });
  document.getElementById("voices").replaceChildren(...options);
}, { once: true });

// Tokens

const tokens = document.getElementById("tokens");

function tell() {
  const isEmpty = tokens.tBodies[0].rows.length === 0;
  tokens.hidden = isEmpty;
  document.getElementById("no-token").hidden = !isEmpty;
}

function list(token) {
  const row = tokens.tBodies[0].insertRow();
  row.dataset.token = token.id;
  row.dataset.name = token.name;
  const [name, when, remove] = [row.insertCell(), row.insertCell(), row.insertCell()];
  name.dataset.label = t("settings.tokens.name");
  name.append(made("span", "", token.name));
  when.dataset.label = t("settings.tokens.created");
  when.textContent = token.created_at.slice(0, 10);
  const button = made("button", "danger small", t("settings.tokens.remove"));
  button.type = "button";
  button.dataset.remove = "";
  button.setAttribute("aria-label", t("settings.tokens.remove_label", { name: token.name }));
  remove.append(button);
  tell();
}

document.getElementById("add-token").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  busy(form.querySelector("button"), async () => {
    const token = await api("POST", "/api/v1/tokens", { name: form.elements.name.value.trim() });
    list(token);
    const fresh = document.getElementById("fresh-token");
    fresh.querySelector("p").textContent = t("settings.tokens.fresh", { name: token.name });
    document.getElementById("token-text").textContent = token.token;
    fresh.hidden = false;
    form.reset();
  });
});

tokens.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-remove]");
  const row = button?.closest("tr");
  if (!row || !(await sure("token", t("settings.tokens.sure", { name: row.dataset.name })))) return;
  busy(button, async () => {
    await api("DELETE", `/api/v1/tokens/${row.dataset.token}`);
    row.remove();
    tell();
    toast(t("settings.tokens.removed"));
  });
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    toast(t("settings.copied"));
  } catch {
    // Without HTTPS a browser lets only what is selected be copied.
    getSelection().selectAllChildren(source);
    if (document.execCommand("copy")) toast(t("settings.copied"));
    else toast(t("settings.not_copied"), "bad");
  }
});

// The search among the values

const filter = document.getElementById("filter");
const search = document.getElementById("search");
const changedOnly = document.getElementById("changed-only");
const rows = [...document.querySelectorAll("tr[data-setting]")].map((row) => ({
  row,
  text: row.textContent.toLowerCase(),
  isChanged: row.dataset.source !== "default",
}));

function sift() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const { row, text, isChanged } of rows) {
    const fits = words.every((word) => text.includes(word)) && (isChanged || !changedOnly.checked);
    row.hidden = !fits;
    count += fits;
  }
  const isSearching = words.length > 0 || changedOnly.checked;
  for (const section of document.querySelectorAll(".settings-section")) {
    section.hidden = !section.querySelector("tr[data-setting]:not([hidden])");
    section.open = isSearching && !section.hidden;
  }
  document.getElementById("count").textContent = t("settings.values.count", { count });
  document.getElementById("nothing").hidden = count > 0;
}

filter.hidden = false;
filter.addEventListener("submit", (event) => event.preventDefault());
search.addEventListener("input", sift);
changedOnly.addEventListener("change", sift);
sift();
