// One conversation of this device: its WebSocket, from hello to goodbye, and what the server's messages make of it (PROTOCOL.md 4, 7).

const HELLO_MS = 10_000;
const QUIET_MS = 120_000; // a channel on which nothing came for so long is dead (PROTOCOL.md 1, step 7)
const NORMAL = 1000;
const LOST = 1006;

/**
 * Where an event leads. What is not here is refused: the device stays as it is.
 *
 * idle: nobody's turn; listening: the microphone is sent; thinking: it was heard, or a text was sent, and the answer is
 * being made; speaking: the answer is played; closed: there is no connection any more.
 */
const TRANSITIONS = {
  connecting: { opened: "idle" },
  idle: { listen: "listening", ask: "thinking", start: "speaking" },
  listening: { listen: "listening", released: "thinking", heard: "thinking", ask: "thinking", start: "speaking", rest: "idle" },
  thinking: { listen: "listening", heard: "thinking", ask: "thinking", start: "speaking", rest: "idle" },
  speaking: { listen: "listening", ask: "thinking", stop_listen: "listening", stop_rest: "idle" },
  closed: {},
};

/** No session came about, or it ended unasked. `reason` names its words, `try.session.<reason>`; `said`: the server's sentence. */
export class SessionFault extends Error {
  constructor(reason, said = "") {
    super(reason);
    this.reason = reason;
    this.said = said;
  }
}

export class Session {
  /**
   * `settings`: what /api/v1/try gave; `frameMs`: of the packets that will be sent. `handlers`, all of them called with what
   * the server said: onState(state), onHeard(text), onFace(emoji), onBegin(), onSentence(text), onEnd(), onAudio(packet),
   * onAlert(message), onMcp(payload), onReboot(), onClose(fault or null), onWire(direction, document).
   */
  constructor(settings, frameMs, hasEchoCancellation, handlers) {
    this.state = "connecting";
    this.mode = "manual"; // how it listens: manual | auto | realtime
    this.listensAgain = true; // after a reply, in the modes auto and realtime
    this.rate = 24000; // Hz of what the server sends
    this._settings = settings;
    this._frameMs = frameMs;
    this._aec = hasEchoCancellation;
    this._on = handlers;
    this._id = "";
    this._alert = "";
  }

  /** Connects and says hello. Throws SessionFault. */
  open() {
    return new Promise((resolve, reject) => {
      this._opening = { resolve, reject };
      this._timer = setTimeout(() => this._fail(new SessionFault("no_hello")), HELLO_MS);
      try {
        this._socket = new WebSocket(addressOf(this._settings));
      } catch {
        this._fail(new SessionFault("blocked"));
        return;
      }
      this._socket.binaryType = "arraybuffer";
      this._socket.onopen = () => this._hello();
      this._socket.onmessage = ({ data }) => this._receive(data);
      this._socket.onclose = ({ code, reason }) => this._closed(code, reason);
    });
  }

  /** The microphone is on. A reply that is being spoken is broken off. */
  listen(mode) {
    if (this.state === "speaking") this.abort();
    this.mode = mode;
    if (this._move("listen")) this._send({ type: "listen", state: "start", mode });
  }

  /** The button is let go (manual). */
  release() {
    if (this.state === "listening") this._send({ type: "listen", state: "stop", mode: this.mode });
    this._move("released");
  }

  /** A text in place of speech, as a wake word comes. Without a microphone that is on, the device goes on in the mode manual. */
  ask(text, hasMicrophone) {
    if (this.state === "speaking") this.abort();
    if (!hasMicrophone) {
      this.mode = "manual";
      this._send({ type: "listen", state: "start", mode: "manual" });
    }
    if (this._move("ask")) this._send({ type: "listen", state: "detect", text });
  }

  /** It listens no more, and the server need not wait for it. */
  rest() {
    this.mode = "manual";
    if (this._move("rest")) this._send({ type: "listen", state: "start", mode: "manual" }); // the server looks for no end of speech then
  }

  /** Ends the reply now. */
  abort(reason = "") {
    this._send({ type: "abort", ...(reason ? { reason } : {}) });
  }

  /** Whether the microphone's packets are to be sent now. */
  get isHearing() {
    if (this.state === "listening") return true;
    return (this.state === "thinking" && this.mode !== "manual" && this.listensAgain) || (this.state === "speaking" && this.mode === "realtime");
  }

  sendAudio(packet) {
    if (this._socket?.readyState === WebSocket.OPEN) this._socket.send(packet);
  }

  sendMcp(payload) {
    this._send({ type: "mcp", payload });
  }

  /** Goodbye. */
  close() {
    this._send({ type: "goodbye" });
    if (this.state === "connecting") this._fail(new SessionFault("given_up"));
    else this._end(null);
  }

  // From the server

  _hello() {
    this._write({
      type: "hello",
      version: 1,
      transport: "websocket",
      features: { mcp: true, ...(this._aec ? { aec: true } : {}) },
      audio_params: { format: "opus", sample_rate: 16000, channels: 1, frame_duration: this._frameMs },
    });
  }

  _receive(data) {
    this._wait(QUIET_MS, "quiet");
    if (typeof data !== "string") {
      if (this.state === "speaking") this._on.onAudio(new Uint8Array(data)); // while it listens a device throws it away
      return;
    }
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    this._on.onWire("in", message);
    if (this.state === "connecting" && !["hello", "alert"].includes(message.type)) return;
    switch (message.type) {
      case "hello":
        this._welcome(message);
        break;
      case "stt":
        this._on.onHeard(String(message.text ?? ""));
        this._move("heard");
        break;
      case "llm":
        this._on.onFace(String(message.text ?? ""));
        break;
      case "tts":
        this._tts(message);
        break;
      case "mcp":
        this._on.onMcp(message.payload);
        break;
      case "alert":
        this._alert = String(message.message ?? "");
        if (this.state !== "connecting") this._on.onAlert(this._alert);
        break;
      case "system":
        if (message.command === "reboot") this._on.onReboot();
        break;
      case "goodbye":
        if (!message.session_id || message.session_id === this._id) this._end(new SessionFault("goodbye"));
        break;
      default: // custom, and what a newer server may say
    }
  }

  _welcome(hello) {
    if (this.state !== "connecting") return;
    this._id = String(hello.session_id ?? "");
    this.rate = hello.audio_params?.sample_rate ?? this.rate;
    this._move("opened");
    this._wait(QUIET_MS, "quiet");
    this._opening.resolve();
  }

  _tts({ state, text }) {
    if (state === "start" && this._move("start")) this._on.onBegin();
    else if (state === "sentence_start" && this.state === "speaking") this._on.onSentence(String(text ?? ""));
    else if (state === "stop" && this.state === "speaking") {
      const again = this.mode !== "manual" && this.listensAgain;
      this._on.onEnd();
      this._move(again ? "stop_listen" : "stop_rest");
      if (again) this._send({ type: "listen", state: "start", mode: this.mode });
      else if (this.mode !== "manual") this._send({ type: "listen", state: "start", mode: "manual" });
    }
  }

  _closed(code, reason) {
    const wasOpening = this.state === "connecting";
    if (code === LOST) this._fail(new SessionFault(wasOpening ? "not_opened" : "lost"));
    else if (code === 4001) this._fail(new SessionFault("replaced"));
    else if (code === NORMAL && !wasOpening) this._end(new SessionFault("goodbye"));
    else this._fail(new SessionFault("refused", this._alert || reason || `WebSocket ${code}`));
  }

  // Below all of it

  _move(event) {
    const after = TRANSITIONS[this.state][event];
    if (after === undefined) return false;
    this.state = after;
    this._on.onState(after);
    return true;
  }

  _send(message) {
    if (this.state === "connecting" || this.state === "closed") return;
    this._write({ session_id: this._id, ...message });
  }

  _write(message) {
    if (this._socket?.readyState !== WebSocket.OPEN) return;
    this._on.onWire("out", message);
    this._socket.send(JSON.stringify(message));
  }

  _wait(ms, reason) {
    if (this.state === "connecting") return;
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._fail(new SessionFault(reason)), ms);
  }

  _fail(fault) {
    if (this.state === "closed") return;
    const wasOpening = this.state === "connecting";
    this._end(wasOpening ? null : fault);
    if (wasOpening) this._opening.reject(fault);
  }

  _end(fault) {
    if (this.state === "closed") return;
    clearTimeout(this._timer);
    this.state = "closed";
    this._socket?.close(NORMAL);
    this._on.onState("closed");
    this._on.onClose(fault);
  }
}

/** Browsers cannot set headers: what a device says there goes into the query string (PROTOCOL.md 7). */
function addressOf({ url, device_id, client_id, token }) {
  const address = new URL(url);
  const said = { "device-id": device_id, "client-id": client_id, authorization: `Bearer ${token}`, "protocol-version": "1" };
  for (const [name, value] of Object.entries(said)) address.searchParams.set(name, value);
  return address;
}
