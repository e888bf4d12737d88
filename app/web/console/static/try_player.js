// The loudspeaker: Opus packets of a reply become sound without gaps, and end when the device is told to stop.
//
// A packet is decoded as it comes and put behind the one before on the audio clock, JITTER_MS after its arrival at the
// earliest. That is less than the server's margin behind the last frame, so `tts stop` cuts nothing off, as on a device.

import { oggOpus } from "./ogg_opus.js";
import { durationMs } from "./opus_packet.js";

const RATE = 48000; // what Opus decodes to
const JITTER_MS = 80;
const BACKLOG_MS = 2400; // a device's playback queue: what overflows it is lost (PROTOCOL.md 4)
const AUDIBLE = 0.01; // of full scale
const WAKE_MS = 1500;
const TOGETHER = 3; // packets that are decoded at once without AudioDecoder: the server's head start covers them
const RUN_UP = 2; // packets before them that let the decoder settle
const WAIT_MS = 90; // for the rest of them

export class Player {
  /** `onFirst(at)`: when the first sound of a reply is heard, on the clock of performance.now. */
  constructor(onFirst) {
    this._onFirst = onFirst;
    this._context = null;
    this._volume = 0.7;
    this._sources = new Set();
    this._isPlaying = false;
    this.heardSamples = 0; // decoded ones that are not silence, ever
    this.gaps = 0; // in this reply: packets that came too late
    this.overflowed = 0;
  }

  /** Whether anything can be played here. */
  static get isPossible() {
    return Boolean(window.AudioContext);
  }

  /** Where a person has just done something: browsers let no sound out before. False when it stays off all the same. */
  async wake() {
    if (!this._context) {
      this._context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
      this._gain = this._context.createGain();
      this._gain.gain.value = this._volume;
      this._gain.connect(this._context.destination);
    }
    if (this._context.state === "running") return true;
    await Promise.race([this._context.resume().catch(() => {}), new Promise((resolve) => setTimeout(resolve, WAKE_MS))]);
    return this._context.state === "running";
  }

  /** 0 to 1. */
  setVolume(volume) {
    this._volume = volume;
    if (this._gain) this._gain.gain.setTargetAtTime(volume, this._context.currentTime, 0.02);
  }

  /** A reply begins; whatever was playing ends. `rate`: Hz of the server's audio. */
  begin(rate) {
    this.cut();
    this._isPlaying = true;
    this._playedUntil = 0; // on the context's clock; 0: nothing was put there yet
    this._cameAt = 0; // on the same clock: the packet after which there was nothing to play
    this._wasHeard = false;
    this.gaps = this.overflowed = 0;
    this._decoder = window.AudioDecoder ? new StreamDecoder(rate, (sound) => this._put(sound)) : new PieceDecoder(this._context, rate, (sound) => this._put(sound));
  }

  /** One packet of the reply. Nothing outside of one is played. */
  push(packet) {
    if (!this._isPlaying || !this._context) return;
    const now = this._context.currentTime;
    if (this._cameAt <= this._playedUntil && this._playedUntil < now) this._cameAt = now;
    if ((this._playedUntil - now) * 1000 > BACKLOG_MS) this.overflowed += 1;
    else this._decoder.push(packet);
  }

  /** Silence, now; what had not been played is lost. Returns how many ms of sound that was. */
  cut() {
    if (!this._isPlaying) return 0;
    this._isPlaying = false;
    this._decoder.close();
    const left = Math.max(0, this._playedUntil - this._context.currentTime) * 1000;
    for (const source of this._sources) source.stop();
    this._sources.clear();
    return left;
  }

  /** A buffer (AudioBuffer) behind all others. */
  _put(sound) {
    if (!this._isPlaying) return;
    const now = this._context.currentTime;
    if (this._playedUntil < now) {
      if (this._playedUntil) this.gaps += 1;
      this._playedUntil = Math.max(now, this._cameAt + JITTER_MS / 1000);
    }
    const samples = sound.getChannelData(0);
    for (let index = 0; index < samples.length; index += 1) if (Math.abs(samples[index]) > AUDIBLE) this.heardSamples += 1;
    const source = this._context.createBufferSource();
    source.buffer = sound;
    source.connect(this._gain);
    source.onended = () => this._sources.delete(source);
    source.start(this._playedUntil);
    this._sources.add(source);
    if (!this._wasHeard) {
      this._wasHeard = true;
      this._onFirst(performance.now() + (this._playedUntil - now + (this._context.outputLatency || 0)) * 1000);
    }
    this._playedUntil += sound.duration;
  }
}

/** By WebCodecs, packet by packet. */
class StreamDecoder {
  constructor(rate, onSound) {
    this._at = 0;
    this._isOpen = true;
    this._decoder = new AudioDecoder({
      output: (data) => {
        if (this._isOpen) onSound(bufferOf(data));
        data.close();
      },
      error: () => {}, // of one packet that is none; the decoder is closed then, and the rest of the reply is not heard
    });
    this._decoder.configure({ codec: "opus", sampleRate: rate, numberOfChannels: 1 });
  }

  push(packet) {
    if (this._decoder.state !== "configured") return;
    const ms = durationMs(packet);
    this._decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: this._at * 1000, duration: ms * 1000, data: packet }));
    this._at += ms;
  }

  close() {
    this._isOpen = false;
    if (this._decoder.state !== "closed") this._decoder.close();
  }
}

function bufferOf(data) {
  const sound = new AudioBuffer({ length: data.numberOfFrames, numberOfChannels: 1, sampleRate: data.sampleRate });
  data.copyTo(sound.getChannelData(0), { planeIndex: 0, format: "f32-planar" });
  return sound;
}

/** By decodeAudioData, a few packets at a time as an Ogg stream of their own, where there is no WebCodecs. */
class PieceDecoder {
  constructor(context, rate, onSound) {
    this._context = context;
    this._rate = rate;
    this._onSound = onSound;
    this._runUp = [];
    this._waiting = [];
    this._work = Promise.resolve();
    this._isOpen = true;
  }

  push(packet) {
    this._waiting.push(packet);
    clearTimeout(this._timer);
    if (this._waiting.length >= TOGETHER) this._decode();
    else this._timer = setTimeout(() => this._decode(), WAIT_MS);
  }

  close() {
    this._isOpen = false;
    clearTimeout(this._timer);
  }

  _decode() {
    const packets = this._waiting;
    const runUp = this._runUp;
    this._waiting = [];
    this._runUp = [...runUp, ...packets].slice(-RUN_UP);
    const wanted = Math.round((lasting(packets) * this._context.sampleRate) / 1000);
    this._work = this._work.then(async () => {
      if (!this._isOpen) return;
      try {
        const stream = oggOpus([...runUp, ...packets], { preSkip: lasting(runUp) * 48, inputRate: this._rate });
        const sound = await this._context.decodeAudioData(stream.buffer);
        if (this._isOpen) this._onSound(this._last(sound, wanted));
      } catch {
        // These few packets are not heard; the next ones begin anew.
      }
    });
  }

  /** The last samples: some browsers do not drop what the header says is to be dropped. */
  _last(sound, wanted) {
    if (sound.length <= wanted) return sound;
    const cut = this._context.createBuffer(1, wanted, sound.sampleRate);
    cut.copyToChannel(sound.getChannelData(0).subarray(sound.length - wanted), 0);
    return cut;
  }
}

function lasting(packets) {
  return packets.reduce((sum, packet) => sum + durationMs(packet), 0);
}
