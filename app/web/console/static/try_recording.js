// A recording in the microphone's place: its samples at 16 kHz, in real time, then silence until it is closed.

const RATE = 16000;
const PIECE_MS = 20;
const PIECE = (RATE / 1000) * PIECE_MS;
export const LONGEST_SECONDS = 60;
export const MOST_BYTES = 20_000_000;

/** `reason`: not_audio | too_long; the words are `try.file.<reason>`. */
export class NoRecording extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** The sound in the bytes of a file (ArrayBuffer), mono at 16 kHz. Throws NoRecording. */
export async function samplesOf(bytes) {
  if (bytes.byteLength > MOST_BYTES) throw new NoRecording("too_long");
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  } catch {
    throw new NoRecording("not_audio");
  }
  if (sound.duration > LONGEST_SECONDS) throw new NoRecording("too_long");
  const context = new OfflineAudioContext(1, Math.max(1, Math.ceil(sound.duration * RATE)), RATE); // it mixes the channels
  const source = context.createBufferSource();
  source.buffer = sound;
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

export class Recording {
  /** `onSamples` gets Float32Arrays of 20 ms from now on; `onEnd` is called once, when the silence begins. */
  constructor(samples, onSamples, onEnd, now = () => performance.now()) {
    this._samples = samples;
    this._onSamples = onSamples;
    this._onEnd = onEnd;
    this._now = now;
    this._began = now();
    this._given = 0;
    this._timer = setInterval(() => this._go(), PIECE_MS);
  }

  close() {
    clearInterval(this._timer);
    this._timer = null;
  }

  /** Gives what is due by now; a page in the background gets its timers late. */
  _go() {
    const due = Math.floor((this._now() - this._began) / PIECE_MS);
    while (this._timer !== null && this._given < due) {
      const piece = new Float32Array(PIECE);
      piece.set(this._samples.subarray(this._given * PIECE, (this._given + 1) * PIECE));
      this._given += 1;
      this._onSamples(piece);
      if (this._given === Math.ceil(this._samples.length / PIECE)) this._onEnd();
    }
  }
}
