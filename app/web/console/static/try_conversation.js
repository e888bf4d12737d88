// Who does what in a conversation: the session, the microphone or what stands in for it, the loudspeaker, and what is shown.

import { silentPacket } from "./opus_packet.js";
import { Device } from "./try_device.js";
import { Hearing } from "./try_hearing.js";
import * as identity from "./try_identity.js";
import { Journal } from "./try_journal.js";
import { Player } from "./try_player.js";
import { samplesOf } from "./try_recording.js";
import { noTrouble, part, showFault, showLevel, showState, trouble } from "./try_screen.js";
import { Session } from "./try_session.js";
import { Talk } from "./try_talk.js";
import { Timings } from "./try_timings.js";
import { Tools } from "./try_tools.js";

const ANSWER_MS = 10_000; // after which somebody who waits is told so
const FRAME_MS = 60; // announced where nothing can be encoded
const REBOOT_MS = 300; // the answer to the tool's call gets out first
const TOOLS_MS = 1000; // how long a text waits for the server to ask for the tools; speech takes longer than that anyway

export class Conversation {
  /** `encoding`: what the browser can encode (try_encoder.js), null for nothing; `page`: tells in its data what tests ask. */
  constructor(page, encoding) {
    this.mode = "auto"; // as chosen: manual | auto | realtime
    this._page = page;
    this._frameMs = encoding?.frameMs ?? FRAME_MS;
    this._session = null;
    this._connecting = null; // the promise of a session
    this._isPressed = false;
    this._answerTimer = null;
    this._toolsAreTold = null; // a promise: the server knows what the device can do
    this._talk = new Talk(part("bubbles"));
    this._journal = new Journal(part("journal"));
    this._timings = new Timings(part("timings"));
    this._player = new Player((at) => this._timings.mark("sound", at));
    this._device = new Device((volume) => this._player.setVolume(volume), () => this._reboot());
    this._tools = new Tools(this._device);
    this._hearing = new Hearing(encoding, {
      isWanted: () => this._session?.isHearing === true,
      onLevel: (level, ms) => {
        showLevel(level);
        if (this._session?.state === "listening") this._timings.hear(level, ms);
      },
      onPacket: (packet) => {
        this._journal.audio("out", packet.length);
        this._session.sendAudio(packet);
      },
      onLost: () => {
        this.hangUp();
        trouble("try.microphone.lost");
      },
    });
  }

  // What a person does

  /** Another mode; what goes on in the one before ends. */
  choose(mode) {
    if (this._isHandsFree || this._isPressed) this.hangUp();
    this.mode = mode;
    this._show();
  }

  /** The button is held (manual). */
  press() {
    if (this._isPressed) return;
    this._isPressed = true;
    this._attempt(async () => {
      await this._hearing.openMicrophone();
      const session = await this._connected();
      if (this._isPressed) {
        this._listen("manual", "held");
      } else if (session.state === "idle") {
        trouble("try.talk.hint"); // somebody was asked for the microphone meanwhile
      }
    });
  }

  /** The button is let go. */
  letGo() {
    if (!this._isPressed) return;
    this._isPressed = false;
    const session = this._session;
    if (session?.state === "listening" && session.mode === "manual" && this._hearing.hasMicrophone) this._release();
  }

  get isPressed() {
    return this._isPressed;
  }

  /** Hands-free: the microphone on; then, while the server speaks, silence; else off. */
  toggle() {
    if (this._isHandsFree) {
      if (this._session.state === "speaking") this.interrupt();
      else this.hangUp();
      return;
    }
    this._attempt(async () => {
      await this._hearing.openMicrophone();
      await this._connected();
      this._session.listensAgain = true;
      this._listen(this.mode, "open");
    });
  }

  /** Ends the reply. */
  interrupt() {
    if (this._session?.state !== "speaking") return;
    this._breakOff(true);
    this._session.abort();
  }

  /** Ends the conversation. */
  hangUp() {
    this._isPressed = false;
    this._session?.close();
    this._hearing.close();
    this._show();
  }

  /** A recording speaks in the microphone's place; after the reply the device rests. `load`: gives its bytes. */
  play(load) {
    this._attempt(async () => {
      const samples = await samplesOf(await load());
      await this._connected();
      const isManual = this.mode === "manual";
      this._session.listensAgain = false;
      this._listen(this.mode, isManual ? "held" : "open");
      this._hearing.openRecording(samples, () => {
        if (isManual) {
          this._hearing.close();
          this._release();
        } else {
          this._expectAnswer(() => this._giveUp());
        }
      });
    });
  }

  /** A text in place of speech; whether it was sent. */
  ask(text) {
    return this._attempt(async () => {
      const session = await this._connected();
      await this._toolsAreTold;
      this._breakOff(true);
      if (this._hearing.hasRecording) this._hearing.close();
      this._timings.begin("text");
      this._timings.release();
      session.ask(text, this._isHandsFree);
      this._expectAnswer();
    });
  }

  /** Runs what a button does; what fails is said. Returns whether it succeeded. */
  async _attempt(work) {
    noTrouble();
    const isAudible = this._player.wake();
    let isDone = false;
    try {
      await work();
      isDone = true;
      if (!(await isAudible)) trouble("try.sound_off");
    } catch (error) {
      this._isPressed = false;
      showFault(error);
    }
    this._show();
    return isDone;
  }

  // The session

  /** A session that is open. Throws SessionFault or ApiError. */
  _connected() {
    if (!this._connecting && this._session && this._session.state !== "closed") return Promise.resolve(this._session);
    this._connecting ??= this._connect().finally(() => {
      this._connecting = null;
      this._show();
    });
    this._show();
    return this._connecting;
  }

  async _connect() {
    const settings = await identity.settings();
    part("url").textContent = settings.url;
    part("device").textContent = settings.device_id;
    part("device").href = `/devices/${settings.device_id}`;
    const canCancelEcho = navigator.mediaDevices?.getSupportedConstraints().echoCancellation === true;
    const session = new Session(settings, this._frameMs, canCancelEcho, this._handlers());
    this._session = session;
    this._toolsAreTold = new Promise((resolve) => {
      this._tellTools = resolve;
    });
    await session.open();
    setTimeout(this._tellTools, TOOLS_MS);
    session.sendAudio(silentPacket(this._frameMs)); // so that the server knows that audio gets through
    return session;
  }

  _handlers() {
    return {
      onState: (state) => {
        if (state !== "speaking") this._player.cut();
        this._show();
      },
      onHeard: (text) => {
        noTrouble();
        this._timings.mark("recognised");
        this._talk.heard(text);
        this._expectAnswer();
      },
      onFace: (emoji) => this._device.face(emoji),
      onBegin: () => {
        clearTimeout(this._answerTimer);
        noTrouble();
        this._player.begin(this._session.rate);
        this._talk.replied();
        if (this._hearing.hasRecording) this._hearing.close();
      },
      onSentence: (text) => {
        this._timings.mark("sentence");
        this._talk.said(text);
      },
      onAudio: (packet) => {
        this._journal.audio("in", packet.length);
        this._player.push(packet);
        this._page.dataset.heardSamples = String(this._player.heardSamples);
      },
      onEnd: () => {
        this._breakOff(this._session.mode === "realtime"); // there a person may have spoken in between
        this._talk.replied();
        this._timings.begin("open"); // in the modes that listen again
      },
      onAlert: (text) => this._talk.alert(text),
      onMcp: (payload) => {
        const response = this._tools.answer(payload);
        if (response) this._session.sendMcp(response);
        if (response?.result?.tools && !response.result.nextCursor) this._tellTools();
      },
      onReboot: () => this._device.reboot(),
      onClose: (fault) => {
        this._timings.mark("over");
        clearTimeout(this._answerTimer);
        this._hearing.close();
        if (fault) showFault(fault);
      },
      onWire: (direction, message) => this._journal.message(direction, message),
    };
  }

  /** The reply's sound ends here: at its end, or because a person wants it (`isWanted`). */
  _breakOff(isWanted) {
    if (this._session.state !== "speaking") return;
    const cutMs = this._player.cut();
    this._timings.losses(this._player.gaps, isWanted ? 0 : cutMs);
    this._timings.mark("over");
    this._page.dataset.heardSamples = String(this._player.heardSamples);
  }

  _listen(mode, kind) {
    this._breakOff(true);
    this._timings.begin(kind);
    this._session.listen(mode);
  }

  _expectAnswer(whenNot = () => trouble("try.no_answer")) {
    clearTimeout(this._answerTimer);
    if (this._session.state !== "closed") this._answerTimer = setTimeout(whenNot, ANSWER_MS);
  }

  /** Nothing came of a recording. */
  _giveUp() {
    this._hearing.close();
    this._session.rest();
    trouble("try.not_heard");
  }

  _reboot() {
    setTimeout(() => this.hangUp(), REBOOT_MS);
  }

  /** Whether the microphone is on by itself. */
  get _isHandsFree() {
    const isOn = this._hearing.hasMicrophone && this._session !== null;
    return isOn && ["listening", "thinking", "speaking"].includes(this._session.state) && this._session.mode !== "manual";
  }

  /** The turn is over by the button's word, not by silence: what is left of it goes out first. */
  async _release() {
    this._timings.release();
    await this._hearing.flush();
    this._session.release();
    this._expectAnswer();
  }

  _show() {
    showState(this._connecting ? "connecting" : (this._session?.state ?? "closed"), this.mode, this._isHandsFree);
  }
}
