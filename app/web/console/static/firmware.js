// The firmware page: uploads, plans, and the roll-outs' figures, asked for again while somebody looks.

import { api, busy, csrf, refusal, t, toast } from "./console.js";

const PATH = "/api/v1/firmware";
const REFRESH_MS = 5000;
const shelf = document.getElementById("shelf");
const upload = document.getElementById("upload");
const confirmation = document.getElementById("confirm");

const part = (within, name) => within.querySelector(`[data-part="${name}"]`);

function say(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function offer(share) {
  if (share === 0) return t("firmware.offer_nobody");
  return share === 100 ? t("firmware.offer_all") : t("firmware.offer", { share });
}

/** Where the API finds the image that `element` belongs to. */
function address(element) {
  const board = element.closest("[data-board]").dataset.board;
  const version = element.closest("[data-version]").dataset.version;
  return { board, version, path: `${PATH}/${encodeURIComponent(board)}/${encodeURIComponent(version)}` };
}

// The figures

/** Which images there are, and how they are planned, as one text: what the list is made of. */
function listed(boards) {
  const lines = (notes) => notes.replace(/\r\n?/g, "\n");
  return JSON.stringify(boards.map((row) => [row.board, row.images.map((one) => [one.version, one.share, one.force, lines(one.notes)])]));
}

/** The same of the list as it is shown. */
function shown() {
  const boards = [...shelf.querySelectorAll("[data-board]")].map((card) => {
    const images = [...card.querySelectorAll("[data-version]")].map((article) => {
      const { share, force, notes } = article.querySelector("form").elements;
      const plan = { share: Number(share.defaultValue), force: force.defaultChecked, notes: notes.defaultValue };
      return { version: article.dataset.version, ...plan };
    });
    return { board: card.dataset.board, images };
  });
  return listed(boards);
}

function draw(boards) {
  for (const row of boards) {
    const card = shelf.querySelector(`[data-board="${CSS.escape(row.board)}"]`);
    if (!card) continue;
    say(part(card, "known"), t("firmware.known", { known: row.known, recent: row.recent }));
    const versions = part(card, "versions")?.querySelector("span");
    say(versions, row.versions.map((one) => `${one.version || "?"} × ${one.devices}`).join(", "));
    for (const image of row.images) {
      const article = card.querySelector(`[data-version="${CSS.escape(image.version)}"]`);
      if (article) drawImage(article, image.progress);
    }
  }
}

function drawImage(article, progress) {
  const percent = (count) => (progress.in_share ? (100 * count) / progress.in_share : 0);
  say(part(article, "arrived"), `${progress.arrived} / ${progress.in_share}`);
  for (const name of ["waiting", "running", "others"]) say(part(article, name), String(progress[name]));
  part(article, "arrived_bar").setAttribute("width", percent(progress.arrived));
  part(article, "waiting_bar").setAttribute("x", percent(progress.arrived));
  part(article, "waiting_bar").setAttribute("width", percent(progress.waiting));
}

async function refresh() {
  const query = new URLSearchParams({ limit: shelf.dataset.limit });
  if (shelf.dataset.after) query.set("after", shelf.dataset.after);
  const { boards } = await api("GET", `${PATH}?${query}`);
  const isBeingEdited = shelf.querySelector("#boards details[open]") !== null;
  if (!isBeingEdited && listed(boards) !== shown()) await redraw();
  draw(boards);
}

/** Takes the list from the server again: images came or went, or plans changed. */
async function redraw() {
  const response = await fetch(location.href, { credentials: "same-origin" });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ["boards", "without", "known-boards"]) {
    const element = fresh.getElementById(id);
    if (element) document.getElementById(id).replaceWith(document.adoptNode(element));
  }
}

/** What this page has changed itself is shown at once. */
async function changed() {
  await redraw();
  await refresh();
}

let next = 0;

async function keepFresh() {
  clearTimeout(next);
  if (document.hidden) return;
  try {
    await refresh();
  } catch {
    // The next look tells; what is shown was true a moment ago.
  }
  clearTimeout(next);
  next = setTimeout(keepFresh, REFRESH_MS);
}

document.addEventListener("visibilitychange", keepFresh);

// Plans

document.addEventListener("input", (event) => {
  const form = event.target.closest("form");
  if (!form) return;
  if (event.target.name === "share") say(form.querySelector(".offer"), offer(Number(event.target.value)));
  if (event.target.name === "force") part(form, "force_warning").hidden = !event.target.checked;
});

shelf.addEventListener("submit", async (event) => {
  const form = event.target.closest("form.plan");
  if (!form) return;
  event.preventDefault();
  const { path } = address(form);
  const plan = { share: Number(form.elements.share.value), force: form.elements.force.checked, notes: form.elements.notes.value };
  await busy(form.elements.save, async () => {
    await api("PATCH", path, plan);
    toast(t("common.saved"));
    await changed();
  });
});

shelf.addEventListener("click", async (event) => {
  const button = event.target.closest("button[name=delete]");
  if (!button) return;
  const { board, version, path } = address(button);
  document.getElementById("confirm-title").textContent = t("firmware.delete_which", { board, version });
  if (!(await confirmed())) return;
  await busy(button, async () => {
    await api("DELETE", path);
    toast(t("firmware.deleted", { board, version }));
    await changed();
  });
});

function confirmed() {
  return new Promise((resolve) => {
    confirmation.returnValue = "no";
    confirmation.addEventListener("close", () => resolve(confirmation.returnValue === "yes"), { once: true });
    confirmation.showModal();
  });
}

// Uploads

const drop = document.getElementById("drop");
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) upload.elements.file.files = event.dataTransfer.files;
  });
}

upload.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { file, board, share, force, notes } = upload.elements;
  const button = upload.querySelector("button.primary");
  say(part(upload, "said"), "");
  const query = new URLSearchParams({ share: share.value, force: String(force.checked), notes: notes.value });
  await busy(button, async () => {
    const image = await send(`${PATH}/${encodeURIComponent(board.value)}?${query}`, file.files[0]);
    upload.reset();
    say(upload.querySelector(".offer"), offer(Number(share.value)));
    part(upload, "force_warning").hidden = true;
    say(part(upload, "said"), t("firmware.added", { board: image.board, version: image.version, project: image.project }));
    await changed();
  });
});

/** Sends the file and shows how much of it has left: `fetch` does not tell. */
function send(path, file) {
  const progress = upload.querySelector("progress");
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", path);
    request.responseType = "json";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Accept", "application/json");
    for (const [name, value] of Object.entries(csrf)) request.setRequestHeader(name, value);
    request.upload.onprogress = (sent) => {
      progress.hidden = false;
      progress.value = sent.lengthComputable && sent.total ? sent.loaded / sent.total : 0;
    };
    request.onerror = () => reject(new Error(t("common.no_answer")));
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(refusal(request.status, request.response, request.getResponseHeader("Retry-After")));
    };
    request.onloadend = () => {
      progress.hidden = true;
      progress.value = 0;
    };
    request.send(file);
  });
}

keepFresh();
