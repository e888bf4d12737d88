// What one sees of this device: its face, its lamp, how loud it is and how bright. Its tools move them.

import { t } from "./console.js";

const NEUTRAL = "😶";

export class Device {
  /** `onVolume(0 to 1)`: the loudspeaker's; `onReboot()`: it is told to start anew. */
  constructor(onVolume, onReboot) {
    this._onVolume = onVolume;
    this._onReboot = onReboot;
    this.volume = 70; // 0 to 100, as brightness
    this.brightness = 100;
    this.lamp = { on: false, red: 255, green: 214, blue: 120 };
    this.set({});
  }

  /** Changes `volume`, `brightness` or `lamp`. */
  set(change) {
    Object.assign(this, change);
    const { on, red, green, blue } = this.lamp;
    const lamp = document.getElementById("try-lamp");
    lamp.dataset.on = String(on);
    lamp.style.setProperty("--lamp", `rgb(${red} ${green} ${blue})`);
    document.getElementById("try-screen").style.opacity = String(0.25 + (0.75 * this.brightness) / 100);
    show("try-lamp-text", t(on ? "try.lamp.on" : "try.lamp.off"));
    show("try-volume", `${this.volume} %`);
    show("try-brightness", `${this.brightness} %`);
    this._onVolume(this.volume / 100);
  }

  face(emoji) {
    show("try-face", emoji || NEUTRAL);
  }

  reboot() {
    this.face(NEUTRAL);
    this.set({ volume: 70, brightness: 100, lamp: { ...this.lamp, on: false } });
    this._onReboot();
  }
}

/** Only what changed: a screen reader says what is written anew. */
function show(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}
