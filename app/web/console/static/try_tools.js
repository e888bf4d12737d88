// The tools of this device over MCP (PROTOCOL.md 8): JSON-RPC in, JSON-RPC out, as firmware does it.

const PROTOCOL_VERSION = "2024-11-05";
const PAGE_BYTES = 8000;
const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;
const LEVEL = { type: "integer", minimum: 0, maximum: 100 };
const PART = { type: "integer", minimum: 0, maximum: 255 };

const TOOLS = [
  tool("self.get_device_status", "The device's current state: its speaker's volume, its screen's brightness, its lamp. Use it before you change something by a step."),
  tool("self.audio_speaker.set_volume", "Sets the speaker's volume. If the present one is not known, call `self.get_device_status` first.", { volume: LEVEL }),
  tool("self.screen.set_brightness", "Sets the screen's brightness.", { brightness: LEVEL }),
  tool("self.lamp.turn_on", "Turns the lamp (the light) on. 打开灯"),
  tool("self.lamp.turn_off", "Turns the lamp (the light) off. 关闭灯"),
  tool("self.lamp.set_color", "Sets the lamp's colour, and turns it on. 设置灯的颜色", { red: PART, green: PART, blue: PART }),
  { ...tool("self.reboot", "Reboots the device."), annotations: { audience: ["user"] } },
];

/** `device`: what the tools move: `volume`, `brightness`, `lamp {on, red, green, blue}`, `set(change)`, `reboot()`. */
export class Tools {
  constructor(device) {
    this._device = device;
  }

  /** The response to a request; null for what gets none: a notification, or a response. */
  answer(request) {
    if (request?.id === undefined || request.id === null || typeof request.method !== "string") return null;
    const params = isObject(request.params) ? request.params : {};
    return { jsonrpc: "2.0", id: request.id, ...this._respond(request.method, params) };
  }

  _respond(method, params) {
    if (method === "initialize") {
      return { result: { protocolVersion: PROTOCOL_VERSION, capabilities: { tools: {} }, serverInfo: { name: "browser", version: "1.0.0" } } };
    }
    if (method === "tools/list") return list(params.cursor || "", params.withUserTools === true);
    if (method === "tools/call") return this._call(params);
    return failure(METHOD_NOT_FOUND, `Method not implemented: ${method.slice(0, 100)}`);
  }

  _call({ name, arguments: given }) {
    const found = TOOLS.find((one) => one.name === name);
    if (!found) return failure(METHOD_NOT_FOUND, `Unknown tool: ${String(name).slice(0, 100)}`);
    const values = isObject(given) ? given : {};
    for (const [key, { minimum, maximum }] of Object.entries(found.inputSchema.properties)) {
      const value = values[key];
      if (value === undefined) return failure(INVALID_PARAMS, `Missing valid argument: ${key}`);
      if (!Number.isInteger(value) || value < minimum || value > maximum) {
        return failure(INVALID_PARAMS, `${key} has to be an integer from ${minimum} to ${maximum}`);
      }
    }
    return said(this._do(name, values));
  }

  _do(name, values) {
    const device = this._device;
    const { volume, brightness, red, green, blue } = values;
    switch (name) {
      case "self.get_device_status":
        return JSON.stringify({
          audio_speaker: { volume: device.volume },
          screen: { brightness: device.brightness },
          lamp: { power: device.lamp.on, red: device.lamp.red, green: device.lamp.green, blue: device.lamp.blue },
        });
      case "self.audio_speaker.set_volume":
        device.set({ volume });
        break;
      case "self.screen.set_brightness":
        device.set({ brightness });
        break;
      case "self.lamp.turn_on":
        device.set({ lamp: { ...device.lamp, on: true } });
        break;
      case "self.lamp.turn_off":
        device.set({ lamp: { ...device.lamp, on: false } });
        break;
      case "self.lamp.set_color":
        device.set({ lamp: { on: true, red, green, blue } });
        break;
      default:
        device.reboot();
    }
    return "true";
  }
}

/** A tool as firmware describes it: every property is required. */
function tool(name, description, properties = {}) {
  const required = Object.keys(properties);
  return { name, description, inputSchema: { type: "object", properties, ...(required.length ? { required } : {}) } };
}

/** A page that begins with the tool named `cursor`; its `nextCursor` is the name of the first that does not fit. */
function list(cursor, forPeople) {
  const offered = TOOLS.filter((one) => forPeople || !one.annotations);
  const start = cursor ? offered.findIndex((one) => one.name === cursor) : 0;
  if (start < 0) return failure(INVALID_PARAMS, `Unknown cursor: ${String(cursor).slice(0, 100)}`);
  const tools = [];
  let size = 0;
  for (const one of offered.slice(start)) {
    size += new TextEncoder().encode(JSON.stringify(one)).length;
    if (size > PAGE_BYTES) return { result: { tools, nextCursor: one.name } };
    tools.push(one);
  }
  return { result: { tools } };
}

function said(text) {
  return { result: { content: [{ type: "text", text }], isError: false } };
}

function failure(code, message) {
  return { error: { code, message } };
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
