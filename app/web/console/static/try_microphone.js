// The microphone: what it hears, as mono samples at 16 kHz, about 20 ms at a time.

import { Resampler } from "./try_resampler.js";

const RATE = 16000;
const WORKLET = "/console/static/try_microphone_worklet.js";
/** Why there is no microphone, by the name of what getUserMedia throws; the words are `try.microphone.<reason>`. */
const REASONS = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "none", NotReadableError: "in_use", AbortError: "in_use" };

/** `reason`: refused | none | in_use | failed. */
export class NoMicrophone extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

export class Microphone {
  /** Whether this page may ask for one at all: only over HTTPS, or on this machine. */
  static get isPossible() {
    return Boolean(navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode);
  }

  /** Asks the person, if need be. `onSamples` gets Float32Arrays until `close`; `onLost`: it is gone. Throws NoMicrophone. */
  static async open(onSamples, onLost) {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      throw new NoMicrophone(REASONS[error.name] ?? "failed");
    }
    for (const track of stream.getTracks()) track.onended = onLost; // pulled out, or forbidden; not by our own `close`
    const microphone = new Microphone(stream, onSamples);
    try {
      await microphone._listen();
    } catch {
      microphone.close();
      throw new NoMicrophone("failed");
    }
    return microphone;
  }

  constructor(stream, onSamples) {
    this._stream = stream;
    this._onSamples = onSamples;
  }

  close() {
    for (const track of this._stream.getTracks()) track.stop();
    this._context?.close();
    this._context = null;
  }

  async _listen() {
    const source = this._source();
    await this._context.audioWorklet.addModule(WORKLET);
    const pieces = new AudioWorkletNode(this._context, "pieces", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    const resampler = this._context.sampleRate === RATE ? null : new Resampler(this._context.sampleRate, RATE);
    pieces.port.onmessage = ({ data }) => this._onSamples(resampler ? resampler.feed(data) : data);
    source.connect(pieces);
    await this._context.resume();
  }

  /** The stream in a context of 16 kHz where the browser resamples a microphone by itself, else in one of its own rate. */
  _source() {
    try {
      this._context = new AudioContext({ sampleRate: RATE });
      return this._context.createMediaStreamSource(this._stream);
    } catch {
      this._context?.close();
      this._context = new AudioContext();
      return this._context.createMediaStreamSource(this._stream);
    }
  }
}
