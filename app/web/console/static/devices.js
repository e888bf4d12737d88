// The list of devices: kept as the server knows it, with small plots; activation by code.

import { ago, api, busy, follow, t } from "./console.js";
import { last, said, sparkline } from "./plots.js";

const COLOURS = { idle: "ok", listening: "ok", thinking: "ok", speaking: "ok", connected: "ok", stuck: "bad", inactive: "warn" };
const MEASURED = ["loss", "jitter", "latency"];
const MAX_POINTS = 60;
const COUNTED_MS = 4000; // the server may count so long that the database is away

/** The samples of each device on the page: [seconds, loss, jitter, latency], oldest first. */
const samples = new Map();

function rowsOf(id) {
  return document.querySelectorAll(`tr[data-device="${CSS.escape(id)}"]`);
}

function setText(row, part, text) {
  const place = row.querySelector(`[data-part="${part}"]`);
  if (place.textContent !== text) place.textContent = text;
  return place;
}

function showRow(row, device) {
  setText(row, "state", t(`devices.state.${device.state}`)).dataset.state = COLOURS[device.state] ?? "";
  setText(row, "transport", device.transport ? t(`devices.transport.${device.transport}`) : "–");
  setText(row, "address", device.address);
  const seen = row.querySelector("[data-part=seen]");
  if (device.is_here) {
    delete seen.dataset.at; // console.js would count its seconds
    seen.textContent = t("common.now");
  } else if (device.seen !== null && device.seen > Number(seen.dataset.at ?? 0)) {
    seen.dataset.at = device.seen;
    seen.textContent = ago(device.seen);
  }
  for (const cell of row.querySelectorAll("[data-measure]")) {
    const name = cell.dataset.measure;
    const points = samples.get(device.id).map((sample) => [sample[0], sample[1 + MEASURED.indexOf(name)]]);
    if (!points.length) continue;
    sparkline(cell.querySelector("svg"), name, points);
    cell.querySelector("b").textContent = said(name, last(points));
  }
}

function showRows({ rows }) {
  for (const device of rows) {
    const kept = device.whole ? [] : (samples.get(device.id) ?? []);
    samples.set(device.id, [...kept, ...device.samples].slice(-MAX_POINTS));
    for (const row of rowsOf(device.id)) showRow(row, device);
  }
}

const isEmpty = document.querySelector(".empty") !== null;
const remembered = Number(document.querySelector("[data-figure=remembered]").textContent);
const wasAway = Number.isNaN(remembered);
const shown = [...new Set([...document.querySelectorAll("tr[data-device]")].map((row) => row.dataset.device))];
const showsAll = !location.search && shown.length >= remembered;

/** A page that is taken from the server again would lose what is in its fields, and where the keyboard is. */
const isTyping = () => Boolean(document.getElementById("code")?.value) || document.activeElement?.matches("input:not([readonly])");
const isUntouched = () => [document.body, null].includes(document.activeElement) && !isTyping();

function showFigures(figures) {
  for (const place of document.querySelectorAll("[data-figure]")) place.textContent = figures[place.dataset.figure] ?? "–";
  showParts(figures.parts.filter((part) => !part.ready));
  if (figures.remembered === null || figures.remembered <= remembered) return;
  const isHarmless = isEmpty ? !isTyping() : (showsAll || wasAway) && isUntouched();
  if (!isHarmless) document.getElementById("new-devices").hidden = false;
  else setTimeout(() => location.reload(), wasAway ? COUNTED_MS : 0);
}

/** What of the server is not ready: read aloud when it is something else, not when the seconds in a reason go on. */
function showParts(faults) {
  const place = document.getElementById("parts");
  const shown = [...place.children].map((notice) => notice.dataset.partOfServer);
  if (shown.join() !== faults.map((part) => part.name).join()) place.replaceChildren(...faults.map(noticeOf));
  faults.forEach((part, index) => {
    const reason = place.children[index].querySelector("small");
    const text = `${part.name}: ${part.reason}`;
    if (reason.textContent !== text) reason.textContent = text;
  });
}

function noticeOf({ name }) {
  const notice = document.createElement("p");
  const head = document.createElement("b");
  const reason = document.createElement("small");
  notice.className = "notice";
  notice.dataset.state = "bad";
  notice.dataset.partOfServer = name;
  head.textContent = t("devices.parts.not_ready", { name: t(`devices.part.${name}`) });
  reason.setAttribute("aria-live", "off");
  notice.append(head, ` ${t(`devices.part.${name}.means`)} `, reason);
  return notice;
}

follow(`/api/v1/events?devices=${shown.join(",")}`, { rows: showRows, figures: showFigures });

document.getElementById("activate")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const result = document.getElementById("activated");
  const tell = (text, state) => {
    result.hidden = false;
    result.dataset.state = state;
    result.textContent = text;
  };
  const code = form.code.value.replace(/\s/g, "");
  if (!/^\d{6}$/.test(code)) {
    tell(t("devices.activate.six_digits"), "warn");
    form.code.focus();
    return;
  }
  await busy(form.querySelector("button"), async () => {
    try {
      const bound = await api("POST", "/api/v1/activations", { code });
      tell(t(bound.active ? "devices.activate.done" : "devices.activate.proof", { id: bound.device_id }), "ok");
      form.reset();
    } catch (error) {
      tell(error.status === 404 ? t("devices.activate.wrong") : error.message, "bad");
    }
    form.code.focus();
  });
});

document.getElementById("copy")?.addEventListener("click", async (event) => {
  const field = document.getElementById("ota-url");
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    event.target.textContent = t("devices.empty.copied");
  } catch {
    event.target.textContent = document.execCommand("copy") ? t("devices.empty.copied") : t("devices.empty.not_copied");
  }
});
