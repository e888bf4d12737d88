// What every page's script uses: the API, the words, notices, event streams, times.

const words = JSON.parse(document.getElementById("words").textContent);

/** The text of `key` in the page's language, with `values` in its {places}. */
export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

/** An answer that is not a success: `message` is the server's sentence. */
export class ApiError extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** Asks the API and returns the answer's document (null for none). Throws ApiError. */
export async function api(method, path, document_) {
  const headers = { Accept: "application/json", "X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content };
  if (document_ !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: document_ === undefined ? undefined : JSON.stringify(document_),
      credentials: "same-origin",
    });
  } catch {
    throw new ApiError(0, t("common.no_answer"));
  }
  const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
  const answer = isJson ? await response.json() : null;
  if (response.ok) return answer;
  throw new ApiError(response.status, response.status === 401 ? t("common.logged_out") : (answer?.error ?? response.statusText));
}

/** Shows a notice for a while; `kind`: "ok" or "bad". */
export function toast(text, kind = "ok") {
  const notice = document.createElement("p");
  notice.className = "toast";
  notice.dataset.state = kind;
  notice.textContent = text;
  document.getElementById("toasts").append(notice);
  setTimeout(() => notice.remove(), kind === "bad" ? 9000 : 4000);
}

/** Runs `work` while `button` is busy; what fails is shown. Returns whether it succeeded. */
export async function busy(button, work) {
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
    return true;
  } catch (error) {
    toast(error.message, "bad");
    return false;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

/**
 * Follows an event stream: `handlers` by event name get the parsed data. The element `#live` shows whether it runs.
 * The browser reconnects by itself; a page that is hidden for long is closed and opened again when it is looked at.
 */
export function follow(path, handlers) {
  let source = null;
  const show = (state) => {
    const sign = document.getElementById("live");
    if (sign) {
      sign.dataset.state = state;
      sign.textContent = t(state === "ok" ? "common.live" : "common.reconnecting");
    }
  };
  const open = () => {
    source = new EventSource(path);
    source.onopen = () => show("ok");
    source.onerror = () => {
      show("warn");
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 5000);
    };
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handler(JSON.parse(event.data)));
    }
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      open();
    }
  });
  open();
}

/** A time in the past (seconds since the epoch) as people say it. */
export function ago(seconds, now = Date.now() / 1000) {
  if (seconds === null || seconds === undefined) return t("common.never");
  const passed = Math.max(0, now - seconds);
  if (passed < 5) return t("common.now");
  if (passed < 90) return t("common.seconds_ago", { count: Math.round(passed) });
  if (passed < 5400) return t("common.minutes_ago", { count: Math.round(passed / 60) });
  if (passed < 129600) return t("common.hours_ago", { count: Math.round(passed / 3600) });
  return t("common.days_ago", { count: Math.round(passed / 86400) });
}

/** Keeps every <time data-at="epoch seconds"> as "… ago". */
function tell() {
  for (const element of document.querySelectorAll("time[data-at]")) {
    const text = ago(element.dataset.at ? Number(element.dataset.at) : null);
    if (element.textContent !== text) element.textContent = text;
  }
}

tell();
setInterval(tell, 1000);
