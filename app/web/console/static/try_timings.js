// The round trip of each turn as a picture: how long each of its parts took, as this browser saw it.
//
// The marks, all on the clock of performance.now:
//   began       the first 20 ms that are louder than LOUD since the microphone was on
//   ended       speech: the end of the last such 20 ms before the words came back, or the button let go;
//               typed text: it was sent
//   recognised  `stt` arrived: the server had seen the end of speech and knew the words. When it saw the end it does not
//               say, so with an open microphone its wait for silence is in this part
//   sentence    the first `tts sentence_start` arrived, with the first audio
//   sound       the first sample of the reply leaves the loudspeaker
//   over        `tts stop` arrived, or the reply was broken off

import { t } from "./console.js";

const LOUD = 0.012; // root mean square of 20 ms; full scale is 1
const MOST = 8; // turns that are shown
const SHORTEST_SCALE_MS = 3000;
const PLAYING_SHOWN_MS = 2500; // of a play-out at least, in the picture; a long one leads out of it
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 26;
/** The parts in their order: name, the mark it begins at, the mark it ends at. */
const PARTS = [
  ["speech", "began", "ended"],
  ["recognition", "ended", "recognised"],
  ["thinking", "recognised", "sentence"],
  ["buffering", "sentence", "sound"],
  ["playing", "sound", "over"],
];

/** How loud samples are: their root mean square. */
export function loudness(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / Math.max(1, samples.length));
}

export class Timings {
  constructor(element, now = () => performance.now()) {
    this._element = element;
    this._now = now;
    this._turns = [];
    this._turn = null;
  }

  /** A turn begins. `kind`: open (the server finds the end of speech) | held (the button tells it) | text. */
  begin(kind) {
    this._turn = { kind, marks: {}, gaps: 0, cutMs: 0, isShown: false };
  }

  /** The microphone heard these samples just now. */
  hear(level, ms) {
    const turn = this._turn;
    if (!turn || turn.kind === "text" || "recognised" in turn.marks || turn.isReleased || level < LOUD) return;
    turn.marks.began ??= this._now() - ms;
    turn.marks.ended = this._now();
  }

  /** The button was let go, or the text was sent. */
  release() {
    if (!this._turn) return;
    this._turn.marks.ended = this._now();
    this._turn.isReleased = true;
  }

  /** `name`: recognised | sentence | sound | over; the first one counts. */
  mark(name, at = this._now()) {
    const turn = this._turn;
    if (!turn || name in turn.marks) return;
    turn.marks[name] = at;
    if (!turn.isShown && name !== "over") {
      turn.isShown = true;
      this._turns = [turn, ...this._turns].slice(0, MOST);
    }
    this._draw();
  }

  /** What the loudspeaker had to do without: packets that came late, and what was cut off at the end. */
  losses(gaps, cutMs) {
    if (!this._turn) return;
    this._turn.gaps = gaps;
    this._turn.cutMs = Math.round(cutMs);
  }

  _draw() {
    const longest = Math.max(SHORTEST_SCALE_MS, ...this._turns.map((turn) => shownMs(partsOf(turn))));
    this._element.replaceChildren(...this._turns.map((turn) => this._row(turn, longest)));
  }

  _row(turn, longest) {
    const row = document.createElement("li");
    const parts = partsOf(turn);
    const words = document.createElement("p");
    words.className = "try-answer";
    const answer = turn.marks.sound - turn.marks.ended;
    if (!("ended" in turn.marks)) words.textContent = t("try.timing.unasked");
    else words.textContent = Number.isFinite(answer) ? t("try.timing.answer", { ms: number(answer) }) : t("try.timing.waiting");
    const list = document.createElement("ul");
    list.className = "try-parts";
    for (const { name, ms } of parts) {
      const item = document.createElement("li");
      item.dataset.part = name;
      item.textContent = `${t(nameOf(name, turn.kind))} ${number(ms)} ms`;
      list.append(item);
    }
    if (turn.gaps || turn.cutMs > 20) {
      const item = document.createElement("li");
      item.dataset.part = "losses";
      item.textContent = t("try.timing.losses", { gaps: turn.gaps, ms: number(turn.cutMs) });
      list.append(item);
    }
    row.append(words, bar(parts, longest), list);
    return row;
  }
}

/** What is known of a turn; a mark that is missing joins its part to the next. */
function partsOf({ marks }) {
  return PARTS.filter(([, from, to]) => from in marks && to in marks).map(([name, from, to]) => ({
    name,
    ms: Math.max(0, marks[to] - marks[from]),
  }));
}

/** How much time a turn's picture has to have room for. */
function shownMs(parts) {
  return parts.reduce((sum, { name, ms }) => sum + (name === "playing" ? Math.min(ms, PLAYING_SHOWN_MS) : ms), 0);
}

function nameOf(part, kind) {
  return part === "recognition" && kind === "open" ? "try.timing.silence_and_recognition" : `try.timing.${part}`;
}

/** The parts side by side, with a line each second. The text beside it says the same, so it is hidden from screen readers. */
function bar(parts, longest) {
  const picture = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "try-bar", "aria-hidden": "true" });
  picture.append(element("rect", { x: 0, y: 0, width: WIDTH, height: HEIGHT, class: "try-ground" }));
  let x = 0;
  for (const { name, ms } of parts) {
    const width = (ms / longest) * WIDTH;
    picture.append(element("rect", { x, y: 0, width, height: HEIGHT, "data-part": name }));
    x += width;
  }
  for (let second = 1; second * 1000 < longest; second += 1) {
    const at = ((second * 1000) / longest) * WIDTH;
    picture.append(element("line", { x1: at, x2: at, y1: 0, y2: HEIGHT, class: "try-second" }));
  }
  if (x > WIDTH + 1) picture.append(element("path", { d: beyond(), class: "try-beyond" }));
  return picture;
}

/** The torn edge of a bar that goes on outside the picture. */
function beyond() {
  const steps = [1, 2, 3, 4].map((step) => `L${WIDTH - (step % 2 ? 14 : 4)} ${(step * HEIGHT) / 4}`);
  return `M${WIDTH - 4} 0${steps.join("")}H${WIDTH}V0Z`;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function number(ms) {
  return Math.round(ms).toLocaleString(document.documentElement.lang);
}
