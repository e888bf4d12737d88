// Who this browser is as a device: kept in it, and asked of the server before each conversation.

import { api } from "./console.js";

const KEY = "xiaozhi.try"; // in localStorage

/** What the WebSocket is opened with: `{device_id, client_id, url, token}`. Throws ApiError. */
export async function settings() {
  const before = kept();
  let given;
  try {
    given = await api("POST", "/api/v1/try", before);
  } catch (error) {
    // Who this browser was may be somebody else by now: then it becomes somebody new.
    if (![400, 409].includes(error.status) || !before.device_id) throw error;
    given = await api("POST", "/api/v1/try", {});
  }
  keep(given);
  return given;
}

function kept() {
  try {
    const { device_id, client_id } = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return device_id && client_id ? { device_id, client_id } : {};
  } catch {
    return {};
  }
}

function keep({ device_id, client_id }) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ device_id, client_id }));
  } catch {
    // The browser keeps nothing: it will be another device next time.
  }
}
