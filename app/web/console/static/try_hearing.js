// What the device hears: a microphone or a recording, as loud as it is, encoded while somebody wants it.

import { Encoder } from "./try_encoder.js";
import { Microphone } from "./try_microphone.js";
import { Recording } from "./try_recording.js";
import { loudness } from "./try_timings.js";

const SAMPLES_PER_MS = 16;

export class Hearing {
  /**
   * `encoding`: what the browser can encode (try_encoder.js). `handlers`: isWanted() says whether what is heard now is to be
   * sent; onLevel(level, ms) how loud it was, 0 when it is not wanted; onPacket(packet); onLost(): the microphone is gone.
   */
  constructor(encoding, handlers) {
    this._encoding = encoding;
    this._on = handlers;
    this._source = null;
    this._encoder = null;
    this._isFlushing = false;
  }

  get hasMicrophone() {
    return this._source instanceof Microphone;
  }

  get hasRecording() {
    return this._source instanceof Recording;
  }

  /** Leaves one that is open as it is. Throws NoMicrophone. */
  async openMicrophone() {
    if (this.hasMicrophone) return;
    this.close();
    const opened = await Microphone.open((samples) => this._hear(samples), this._on.onLost);
    this._begin(opened);
  }

  /** `samples`: at 16 kHz; `onEnd`: silence begins. */
  openRecording(samples, onEnd) {
    this._begin(new Recording(samples, (piece) => this._hear(piece), onEnd));
  }

  close() {
    this._source?.close();
    this._source = null;
    this._on.onLevel(0, 0);
  }

  /** Gives out what is left of a packet; nothing is heard meanwhile. */
  async flush() {
    this._isFlushing = true;
    await this._encoder?.flush();
    this._isFlushing = false;
  }

  _begin(source) {
    this.close();
    this._encoder?.close();
    this._encoder = new Encoder(this._encoding, (packet) => this._on.isWanted() && this._on.onPacket(packet));
    this._source = source;
  }

  _hear(samples) {
    const isWanted = this._on.isWanted() && !this._isFlushing;
    this._on.onLevel(isWanted ? loudness(samples) : 0, samples.length / SAMPLES_PER_MS);
    if (isWanted) this._encoder.feed(samples);
  }
}
