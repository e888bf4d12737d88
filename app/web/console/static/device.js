// The page of one device: its way in, its conversation and its vitals, live; what can be said to it.

import { ago, api, busy, follow, knows, saying, t } from "./console.js";
import { showRemembered } from "./device_remembered.js";
import { last, plot, said } from "./plots.js";
import { sure } from "./sure.js";
import { showTools } from "./tools.js";

const id = document.getElementById("device").dataset.id;
const path = `/api/v1/devices/${id}`;
const SIGNS = { done: "✓", waiting: "…", stuck: "!", not_yet: "" };
const STATE_COLOURS = { idle: "ok", listening: "ok", thinking: "ok", speaking: "ok", connected: "ok", stuck: "bad", inactive: "warn" };
const NOTICE_COLOURS = { stuck: "bad", waiting: "warn" };
const MEASURED = ["loss", "jitter", "latency", "answer"];
const MAX_SAMPLES = 120;
const MAX_LINES = 100;

function make(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// The way in

const sentences = document.getElementById("stuck");

function showWayIn({ steps }) {
  for (const step of steps) {
    const place = document.querySelector(`ol.way [data-leg="${step.leg}"]`);
    place.dataset.state = step.state;
    place.querySelector(".sign").textContent = SIGNS[step.state];
    place.querySelector("[data-part=state]").textContent = t(`device.step.${step.state}`);
    const time = place.querySelector("time");
    time.hidden = step.at === null;
    time.dataset.at = step.at ?? "";
    time.textContent = ago(step.at);
  }
  const open = steps.filter((step) => step.state !== "done");
  const pressing = open.filter((step) => step.state !== "not_yet");
  const shown = (pressing.length ? pressing : open.slice(0, 1)).map((step) => {
    const text = t(`way_in.${step.code}`, step.values);
    const notice = make("p", { className: "notice" }, make("b", { textContent: `${t(`device.leg.${step.leg}`)}:` }), ` ${text}`);
    notice.dataset.leg = step.leg;
    notice.dataset.state = NOTICE_COLOURS[step.state] ?? "";
    return notice;
  });
  sentences.replaceChildren(...shown);
  // The seconds in a sentence go on; it is read aloud when it is another one.
  const stuck = steps.filter((step) => step.state === "stuck");
  const codes = stuck.map((step) => step.code).join(" ");
  const aloud = document.getElementById("stuck-said");
  if (aloud.dataset.codes === codes) return;
  aloud.dataset.codes = codes;
  aloud.textContent = stuck.map((step) => `${t(`device.leg.${step.leg}`)}: ${t(`way_in.${step.code}`, step.values)}`).join(" ");
}

// The session

function showSession({ state, session }) {
  const badge = document.getElementById("state");
  badge.textContent = t(`devices.state.${state}`);
  badge.dataset.state = STATE_COLOURS[state] ?? "";
  document.getElementById("session").hidden = session === null;
  if (session === null) return;
  for (const place of document.querySelectorAll("#session [data-figure]")) place.textContent = session[place.dataset.figure] ?? "–";
}

// Vitals

let samples = [];

function showVitals({ whole, samples: fresh }) {
  samples = [...(whole ? [] : samples), ...fresh].slice(-MAX_SAMPLES);
  for (const figure of document.querySelectorAll("[data-measure]")) {
    const name = figure.dataset.measure;
    const points = samples.map((sample) => [sample[0], sample[1 + MEASURED.indexOf(name)]]);
    if (!points.length) continue;
    figure.querySelector("b").textContent = said(name, last(points));
    const svg = figure.querySelector("svg");
    svg.removeAttribute("aria-hidden");
    plot(svg, name, points, {
      now: t("device.vitals.now"),
      ago: (seconds) => t("device.vitals.ago", { seconds }),
      alternative: (values) => t("device.vitals.alternative", { name: t(`device.vitals.${name}`), ...values }),
    });
    if (!svg.hasChildNodes()) svg.setAttribute("aria-hidden", "true");
  }
}

// The conversation

const talk = document.getElementById("talk");

function lineText(line) {
  if (line.kind !== "event") return line.text;
  const [name, ...rest] = line.text.split(" ");
  if (knows(`device.event.${line.text}`)) return t(`device.event.${line.text}`);
  if (!knows(`device.event.${name}`)) return line.text;
  const event = t(`device.event.${name}`);
  return rest.length ? t("device.event.said", { event, rest: rest.join(" ") }) : event;
}

function showLines({ whole, lines }) {
  if (whole) talk.replaceChildren();
  const isAtEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
  for (const line of lines) {
    const bubble = make("p", {}, make("span", { className: "unseen", textContent: `${t(`device.line.${line.kind}`)}: ` }), make("bdi", { textContent: lineText(line) }));
    bubble.dataset.number = line.number;
    bubble.dataset.kind = line.kind;
    talk.append(bubble);
  }
  while (talk.childElementCount > MAX_LINES) talk.firstElementChild.remove();
  const quiet = talk.querySelector(".quiet");
  if (!talk.childElementCount) talk.append(make("p", { className: "quiet", textContent: t("device.conversation.empty") }));
  else if (quiet && talk.childElementCount > 1) quiet.remove();
  if (isAtEnd || whole) talk.scrollTop = talk.scrollHeight;
}

talk.scrollTop = talk.scrollHeight;
follow(`${path}/events`, { way_in: showWayIn, session: showSession, vitals: showVitals, lines: showLines });

// What is said to it

function tell(output, isGood, text) {
  output.hidden = false;
  output.dataset.state = isGood ? "ok" : "bad";
  output.textContent = text;
}

async function ask(button, output, method, where, document_) {
  await busy(button, async () => {
    try {
      tell(output, true, saying(await api(method, where, document_)));
    } catch (error) {
      tell(output, false, error.message);
    }
  });
}

for (const name of ["speak", "alert"]) {
  const form = document.getElementById(name);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form.querySelector("button"), form.querySelector("output"), "POST", `${path}/${name}`, Object.fromEntries(new FormData(form)));
  });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("#reboot");
  if (button && (await sure("reboot"))) ask(button, document.getElementById("rebooted"), "POST", `${path}/reboot`, {});
});

document.getElementById("ask-tools").addEventListener("click", (event) => {
  busy(event.currentTarget, () => showTools(document.getElementById("tools"), path));
});

showRemembered(path, { id, onForget: () => showLines({ whole: true, lines: [] }) });
