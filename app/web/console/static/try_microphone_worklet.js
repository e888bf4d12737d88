// The microphone's samples on their way out of the audio thread, 20 ms at a time.

const PIECE = Math.round(sampleRate / 50);

class Pieces extends AudioWorkletProcessor {
  constructor() {
    super();
    this._piece = new Float32Array(PIECE);
    this._filled = 0;
  }

  process([input]) {
    const channel = input[0]; // none until the microphone is there
    for (let index = 0; channel && index < channel.length; index += 1) {
      this._piece[this._filled] = channel[index];
      this._filled += 1;
      if (this._filled === PIECE) {
        this.port.postMessage(this._piece, [this._piece.buffer]); // it is no longer ours
        this._piece = new Float32Array(PIECE);
        this._filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("pieces", Pieces);
