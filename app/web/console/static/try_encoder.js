// Opus by WebCodecs, as near to what a device sends as the browser can: 16 kHz, mono, 60 ms a packet.

import { durationMs } from "./opus_packet.js";
import { Resampler } from "./try_resampler.js";

const RATE = 16000;
const BITRATE = 24000;
/** What to ask for, best first. In Chromium the first gives SILK wideband (TOC 0x58), as the firmware does. */
const WISHES = [
  { sampleRate: 16000, frameDuration: 60000 },
  { sampleRate: 48000, frameDuration: 60000 },
  { sampleRate: 16000, frameDuration: 20000 },
  { sampleRate: 48000, frameDuration: 20000 },
  { sampleRate: 48000 },
].map(({ sampleRate, frameDuration }) => ({
  codec: "opus",
  sampleRate,
  numberOfChannels: 1,
  bitrate: BITRATE,
  ...(frameDuration ? { opus: { frameDuration, application: "voip", signal: "voice" } } : {}),
}));
const USABLE_MS = [20, 40, 60];
const TRIAL_MS = 240;

/**
 * The first configuration that this browser can do: `{configuration, frameMs}`, or null. What a packet really lasts is
 * measured on a trial, since a browser may take a wish and not fulfil it; the hello has to say the truth.
 */
export async function chooseEncoding() {
  if (!window.AudioEncoder) return null;
  for (const configuration of WISHES) {
    try {
      if (!(await AudioEncoder.isConfigSupported(configuration)).supported) continue;
      const lengths = new Set();
      const trial = new Encoder({ configuration, frameMs: 60 }, (packet) => lengths.add(durationMs(packet)));
      trial.feed(new Float32Array((RATE / 1000) * TRIAL_MS));
      await trial.flush();
      trial.close();
      const [frameMs] = lengths;
      if (lengths.size === 1 && USABLE_MS.includes(frameMs)) return { configuration, frameMs };
    } catch {
      // Not this one: the next.
    }
  }
  return null;
}

/** Takes mono samples at 16 kHz in pieces of any size, gives `onPacket` one Uint8Array a packet. */
export class Encoder {
  constructor({ configuration, frameMs }, onPacket) {
    this._rate = configuration.sampleRate;
    this._resampler = this._rate === RATE ? null : new Resampler(RATE, this._rate);
    this._frame = new Float32Array((this._rate / 1000) * frameMs);
    this._filled = 0;
    this._encoded = 0; // samples
    this._encoder = new AudioEncoder({
      output: (chunk) => {
        const packet = new Uint8Array(chunk.byteLength);
        chunk.copyTo(packet);
        onPacket(packet);
      },
      error: () => {}, // it is closed then: `feed` does nothing any more, and the server says that it hears nothing
    });
    this._encoder.configure(configuration);
  }

  feed(samples) {
    const wanted = this._resampler ? this._resampler.feed(samples) : samples;
    for (let offset = 0; offset < wanted.length; ) {
      const taken = Math.min(wanted.length - offset, this._frame.length - this._filled);
      this._frame.set(wanted.subarray(offset, offset + taken), this._filled);
      this._filled += taken;
      offset += taken;
      if (this._filled === this._frame.length) this._encode();
    }
  }

  /** Gives out what is left of a packet, filled up with silence; resolves when all packets are out. */
  async flush() {
    if (this._filled) {
      this._frame.fill(0, this._filled);
      this._encode();
    }
    if (this._encoder.state === "configured") await this._encoder.flush().catch(() => {});
  }

  close() {
    if (this._encoder.state !== "closed") this._encoder.close();
  }

  _encode() {
    this._filled = 0;
    if (this._encoder.state !== "configured") return;
    const data = new AudioData({
      format: "f32",
      sampleRate: this._rate,
      numberOfFrames: this._frame.length,
      numberOfChannels: 1,
      timestamp: Math.round((this._encoded / this._rate) * 1e6),
      data: this._frame,
    });
    this._encoded += this._frame.length;
    this._encoder.encode(data);
    data.close();
  }
}
