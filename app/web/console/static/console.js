// What every page's script uses: the words, the API, notices, event streams, times.

const words = JSON.parse(document.getElementById("words").textContent);

/** The text of `key` in the page's language, with `values` in its {places}. */
export function t(key, values = {}) {
  const text = knows(key) ? words[key] : key;
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

/** Whether `key` has a text. */
export const knows = (key) => Object.hasOwn(words, key);

/** What an answer of the API says: in the page's language, where its code has words, else the server's own sentence. */
export function saying(answer) {
  return knows(`said.${answer?.code}`) ? t(`said.${answer.code}`) : (answer?.message ?? answer?.error ?? "");
}

/** An answer that is not a success: `message` is a sentence for people. */
export class ApiError extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** The error of such an answer. `answer`: its document, or null; `seconds`: of its Retry-After. */
export function refusal(status, answer, seconds) {
  if (status === 401) tellLoggedOut();
  const said = saying(answer);
  const general = {
    401: t("common.logged_out"),
    403: t("common.stale"),
    429: t("common.too_often", { seconds: seconds || 5 }),
    500: t("common.server_fault"),
    503: knows(`said.${answer?.code}`) ? said : t("common.later", { said }),
  };
  return new ApiError(status, general[status] ?? (said || t("common.no_answer")));
}

/** The document of a `fetch` of the API, null for none. Throws ApiError, also when nobody answers. */
export async function answerOf(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new ApiError(0, t("common.no_answer"));
  }
  const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
  const answer = isJson ? await response.json().catch(() => null) : null;
  if (response.ok) return answer;
  throw refusal(response.status, answer, response.headers.get("Retry-After"));
}

/** What every request brings that changes something. */
export const csrf = { "X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content };

/** Asks the API and returns the answer's document (null for none). Throws ApiError. */
export function api(method, path, document_) {
  const headers = { Accept: "application/json", ...csrf };
  if (document_ !== undefined) headers["Content-Type"] = "application/json";
  const body = document_ === undefined ? undefined : JSON.stringify(document_);
  return answerOf(fetch(path, { method, headers, body, credentials: "same-origin" }));
}

/** Says that the login has ended, and leads to the next one, which comes back here. */
function tellLoggedOut() {
  if (document.getElementById("logged-out")) return;
  const notice = document.createElement("p");
  const link = document.createElement("a");
  notice.id = "logged-out";
  notice.className = "notice";
  notice.dataset.state = "warn";
  notice.setAttribute("role", "alert");
  link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = t("common.log_in_again");
  notice.append(`${t("common.logged_out")} `, link);
  document.getElementById("content").prepend(notice);
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

const RETRY_MS = 5000;
const RENEW_MS = 3_600_000;

/**
 * Follows an event stream: `handlers` by event name get the parsed data. The element `#live` shows whether it runs.
 * The browser reconnects by itself while the server is away. A page that is hidden is not followed; one that is looked at asks
 * anew every hour, since only the beginning of a stream can renew the login.
 */
export function follow(path, handlers) {
  let source = null;
  let next = 0;
  const show = (state, text) => {
    const sign = document.getElementById("live");
    sign.hidden = false;
    sign.dataset.state = state;
    if (sign.textContent !== text) sign.textContent = text;
  };
  const close = () => {
    clearTimeout(next);
    source?.close();
    source = null;
  };
  const open = () => {
    close();
    const opened = new EventSource(path);
    source = opened;
    next = setTimeout(open, RENEW_MS);
    opened.onopen = () => {
      document.getElementById("logged-out")?.remove(); // the next login was made elsewhere
      show("ok", t("common.live"));
    };
    opened.onerror = async () => {
      show("warn", t("common.reconnecting"));
      if (opened.readyState !== EventSource.CLOSED) return;
      close();
      next = setTimeout(open, RETRY_MS); // an EventSource does not tell why it was refused
      const error = await whyRefused(path);
      if (error?.status === 401) clearTimeout(next);
      if (error?.status > 0) show("warn", error.status === 401 ? t("common.paused") : error.message);
    };
    for (const [name, handler] of Object.entries(handlers)) {
      opened.addEventListener(name, (event) => handler(JSON.parse(event.data)));
    }
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (!source) open();
  });
  open();
}

/** The ApiError with which `path` is refused, null when it is not. */
async function whyRefused(path) {
  const asking = new AbortController();
  const request = fetch(path, { headers: { Accept: "application/json" }, credentials: "same-origin", signal: asking.signal });
  try {
    const response = await request;
    if (!response.ok) await answerOf(response);
    return null;
  } catch (error) {
    return error instanceof ApiError ? error : null;
  } finally {
    asking.abort(); // a stream that is not refused has no end
  }
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

// What was chosen is remembered: in the address it would stay for every copied link, and come back with "back".
const address = new URL(location.href);
for (const choice of ["lang", "theme"]) address.searchParams.delete(choice);
if (address.href !== location.href) history.replaceState(history.state, "", address);
