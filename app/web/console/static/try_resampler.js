// A stream of samples at another rate: a low-pass of windowed sinc, worked out for each sample, so that nothing is folded back.

const HALF_WIDTH = 16; // zero crossings of the sinc on either side
const BEGINNING = 0.92; // of the lower of the two Nyquist frequencies: where the low-pass begins to fall
const STEPS = 128; // of the low-pass's table for one input sample; between them it is a straight line

/** Mono. `feed` takes and gives Float32Arrays; the output lags by the filter's half, a millisecond or two. */
export class Resampler {
  constructor(fromRate, toRate) {
    this._step = fromRate / toRate;
    this._cutoff = BEGINNING * Math.min(1, toRate / fromRate); // 1: half the input's rate
    this._reach = Math.ceil(HALF_WIDTH / this._cutoff);
    this._taps = Float32Array.from({ length: this._reach * STEPS + 2 }, (_, index) => this._tap(index / STEPS));
    this._kept = new Float32Array(this._reach); // input that the next output still needs, beginning with silence
    this._at = this._reach; // where in the kept input the next output sample lies
  }

  feed(samples) {
    const input = new Float32Array(this._kept.length + samples.length);
    input.set(this._kept);
    input.set(samples, this._kept.length);
    const output = [];
    while (this._at + this._reach < input.length) {
      output.push(this._sampleAt(input, this._at));
      this._at += this._step;
    }
    const done = Math.max(0, Math.floor(this._at) - this._reach);
    this._kept = input.slice(done);
    this._at -= done;
    return Float32Array.from(output);
  }

  _sampleAt(input, position) {
    const first = Math.ceil(position - this._reach);
    const last = Math.floor(position + this._reach);
    let sum = 0;
    for (let index = Math.max(0, first); index <= last; index += 1) {
      const place = Math.abs(position - index) * STEPS;
      const below = Math.floor(place);
      const tap = this._taps[below];
      sum += input[index] * (tap + (this._taps[below + 1] - tap) * (place - below));
    }
    return sum;
  }

  /** The low-pass at this distance (in input samples): sinc under a Hann window, which ends at the reach. */
  _tap(distance) {
    if (distance >= this._reach) return 0;
    const x = Math.PI * distance * this._cutoff;
    const sinc = Math.abs(x) < 1e-9 ? 1 : Math.sin(x) / x;
    return this._cutoff * sinc * (0.5 + 0.5 * Math.cos((Math.PI * distance) / this._reach));
  }
}
