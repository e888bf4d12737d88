// Opus packets as they are, wrapped into a whole Ogg stream that decodeAudioData reads (RFC 3533, RFC 7845).

import { durationMs } from "./opus_packet.js";

const GRANULES_PER_MS = 48;
const PAGE_MS = 1000; // RFC 7845, 4 asks for pages of limited delay
const MAX_SEGMENTS = 255;
const MAX_PACKET = 61440; // bytes; RFC 7845, 6
const BEGIN = 2;
const END = 4;
const HEADER = 27; // bytes of a page before its table of segments

// The CRC of polynomial 0x04c11db7, highest bit first, begun with 0 and not inverted (RFC 3533, 6).
const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc >>> 0;
});

/**
 * A stream of one or more mono packets (Uint8Array). `preSkip`: samples at 48 kHz that the decoder drops at the beginning;
 * `inputRate`: Hz of what was encoded, said in the header. Throws RangeError for what is no packet.
 */
export function oggOpus(packets, { preSkip = 0, inputRate = 24000, serial = 1 } = {}) {
  const pages = [page(BEGIN, 0, serial, 0, [head(preSkip, inputRate)]), page(0, 0, serial, 1, [tags()])];
  let gathered = [];
  let segments = 0;
  let granule = 0;
  let pageBegan = 0;
  for (const packet of packets) {
    const granules = durationMs(packet) * GRANULES_PER_MS;
    if (!granules || packet.length > MAX_PACKET) throw new RangeError("this is no Opus packet");
    const needed = Math.floor(packet.length / 255) + 1;
    if (gathered.length && (segments + needed > MAX_SEGMENTS || granule + granules - pageBegan > PAGE_MS * GRANULES_PER_MS)) {
      pages.push(page(0, granule, serial, pages.length, gathered));
      gathered = [];
      segments = 0;
      pageBegan = granule;
    }
    gathered.push(packet);
    segments += needed;
    granule += granules;
  }
  pages.push(page(END, granule, serial, pages.length, gathered));
  return joined(pages);
}

/** OpusHead (RFC 7845, 5.1): version 1, one channel, no gain, mapping family 0. */
function head(preSkip, inputRate) {
  const bytes = new Uint8Array(19);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii("OpusHead"));
  bytes.set([1, 1], 8);
  view.setUint16(10, preSkip, true);
  view.setUint32(12, inputRate, true);
  return bytes;
}

/** OpusTags (RFC 7845, 5.2): who wrote it, and no comments. */
function tags() {
  const vendor = ascii("xiaozhi console");
  const bytes = new Uint8Array(8 + 4 + vendor.length + 4);
  bytes.set(ascii("OpusTags"));
  new DataView(bytes.buffer).setUint32(8, vendor.length, true);
  bytes.set(vendor, 12);
  return bytes;
}

/** A page of whole packets, of 255 segments at most (RFC 3533, 6). */
function page(flags, granule, serial, number, packets) {
  const lacing = packets.flatMap((packet) => [...Array(Math.floor(packet.length / 255)).fill(255), packet.length % 255]);
  const bytes = joined([new Uint8Array(HEADER), Uint8Array.from(lacing), ...packets]);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii("OggS"));
  bytes[5] = flags;
  view.setBigUint64(6, BigInt(granule), true);
  view.setUint32(14, serial, true);
  view.setUint32(18, number, true);
  bytes[26] = lacing.length;
  view.setUint32(22, checksum(bytes), true);
  return bytes;
}

function checksum(bytes) {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) ^ CRC[(crc >>> 24) ^ byte]) >>> 0;
  return crc;
}

function ascii(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
