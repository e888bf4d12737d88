// An Opus packet as far as its first bytes tell (RFC 6716, 3.1 and 3.2).

const SILK_MS = [10, 20, 40, 60];
const HYBRID_MS = [10, 20];
const CELT_MS = [2.5, 5, 10, 20];
const LONGEST_MS = 120;

/** How long the packet (Uint8Array) lasts, in ms; 0 for what is none. */
export function durationMs(packet) {
  if (!packet.length) return 0;
  const configuration = packet[0] >> 3;
  let frameMs;
  if (configuration < 12) frameMs = SILK_MS[configuration & 3];
  else if (configuration < 16) frameMs = HYBRID_MS[configuration & 1];
  else frameMs = CELT_MS[configuration & 3];
  const code = packet[0] & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 63;
  const total = frameMs * frames;
  return total <= LONGEST_MS ? total : 0;
}

/** What a microphone that hears nothing sends: SILK wideband, one frame of `frameMs` (10, 20, 40 or 60) that was not encoded. */
export function silentPacket(frameMs) {
  return Uint8Array.of((8 + SILK_MS.indexOf(frameMs)) << 3);
}
