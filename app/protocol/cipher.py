"""AES-128-CTR of the audio packets: one key a session, the header as initial counter block (PROTOCOL.md 5).

The counter block of a packet's first 16 bytes is the packet's header; each further 16 bytes take the block before plus one, as
one big-endian 128-bit integer. The key schedule is made once a session: CTR is AES-ECB of the counter blocks, XORed with the
payload, and a cached ECB object costs a third of a new CTR object per packet.

**No downlink counter block ever equals another counter block under the session's key.** Why:

- Both directions share one key and one ssrc, and the device chooses its uplink headers: any timestamp, any sequence, any
  length. What it does not choose are the flags: it copies them from the nonce, where they are 0. Downlink headers carry the
  flag ``FROM_SERVER``, and an uplink packet with that flag is not opened (which also refuses our own packets sent back to us).
- Counting up could only carry into the flags through ssrc and payload_len. The carry stops at the ssrc, because no session has
  the ssrc 0xFFFFFFFF, and a packet's blocks carry out of the timestamp at most once.
- Among downlink packets, sequence and timestamp grow together, by one and by one frame; `DownlinkCipher` raises
  `KeyExhausted` before either could wrap, and before a packet's own blocks could carry out of the sequence field. So two
  packets differ in the timestamp of every one of their blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from Crypto.Cipher import AES

from app.protocol.aes import BLOCK, KEPT_BLOCKS, Scratch
from app.protocol.audio_packet import AUDIO, FROM_SERVER, HEADER, MAX_PAYLOAD, MAX_U32
from app.protocol.malformed import Malformed

KEY_SIZE = 16
MAX_BLOCKS = (MAX_PAYLOAD + BLOCK - 1) // BLOCK
UNUSABLE_SSRCS = frozenset({0, MAX_U32})
"""0 means "no session" to some clients; 0xFFFFFFFF would let a counter carry reach the flags."""

_MASK_128 = (1 << 128) - 1
_NEAR_WRAP = (1 << 128) - (1 << 16)

# n counter blocks as one integer are header * _REPEAT[n] + _LADDER[n]: one multiplication instead of a loop.
_REPEAT = [sum(1 << (128 * i) for i in range(n)) for n in range(KEPT_BLOCKS + 1)]
_LADDER = [sum((n - 1 - i) << (128 * i) for i in range(n)) for n in range(KEPT_BLOCKS + 1)]


class KeyExhausted(Exception):
    """So many packets were sealed under this key that the next could repeat a counter block: the session has to end."""


class SessionCipher:
    """The key schedule of one session. ``key``: 16 bytes. ``scratch``: shared with other ciphers of this thread.

    Not for use by two threads at a time.
    """

    __slots__ = ("_ecb", "_encrypt", "_schedule", "_scratch")

    def __init__(self, key: bytes, scratch: Scratch | None = None) -> None:
        self._scratch = Scratch() if scratch is None else scratch
        engine = self._scratch.engine
        self._ecb = AES.new(key, AES.MODE_ECB)
        self._encrypt = engine.encrypt
        self._schedule = engine.schedule_of(self._ecb)

    def apply(self, header: bytes | bytearray, payload: bytes | bytearray) -> bytes:
        """Encrypts or decrypts ``payload`` (1 to 65,535 bytes) of the packet with this 16-byte ``header``."""
        size = len(payload)
        count = (size + 15) >> 4
        keystream, place = self._scratch[count]
        if self._encrypt(self._schedule, counter_blocks(int.from_bytes(header, "big"), count), place, count << 4):
            raise RuntimeError("AES has failed")
        surplus = (count << 4) - size << 3
        return (int.from_bytes(payload, "big") ^ int.from_bytes(keystream, "big") >> surplus).to_bytes(size, "big")

    def keystreams(self, headers: Sequence[bytes], sizes: Sequence[int]) -> bytes:
        """The keystream of many packets, one after another, each a whole number of blocks: one call for all of them."""
        return self._ecb.encrypt(
            b"".join(
                [
                    counter_blocks(int.from_bytes(header, "big"), (size + 15) >> 4)
                    for header, size in zip(headers, sizes, strict=True)
                ]
            )
        )


def counter_blocks(first: int, count: int) -> bytes:
    """``count`` counter blocks from the block ``first`` (u128) on, each 16 bytes, counting modulo 2**128."""
    if count <= KEPT_BLOCKS and first < _NEAR_WRAP:
        return (first * _REPEAT[count] + _LADDER[count]).to_bytes(count << 4, "big")
    return b"".join([((first + i) & _MASK_128).to_bytes(BLOCK, "big") for i in range(count)])


class DownlinkCipher:
    """Seals the server's packets of one session: numbers, stamps and encrypts them (PROTOCOL.md 5).

    ``frame_duration_ms``: the announced duration of one packet, which its timestamp advances by.
    """

    __slots__ = ("_cipher", "_frame_duration_ms", "_last_sequence", "_sequence", "_ssrc")

    def __init__(self, cipher: SessionCipher, ssrc: int, frame_duration_ms: int) -> None:
        if ssrc in UNUSABLE_SSRCS:
            raise ValueError(f"ssrc {ssrc:#010x} is not to be used")
        self._cipher = cipher
        self._ssrc = ssrc
        self._frame_duration_ms = frame_duration_ms
        self._sequence = 0
        self._last_sequence = min(MAX_U32 // frame_duration_ms, MAX_U32 - MAX_BLOCKS)

    def seal(self, payloads: Sequence[bytes]) -> list[bytes]:
        """The datagrams of these Opus packets, in order; their keystream is made in one call.

        Raises Malformed when a payload is empty or longer than 65,535 bytes, KeyExhausted when the sequence is used up.
        """
        first = self._sequence + 1
        if self._sequence + len(payloads) > self._last_sequence:
            raise KeyExhausted(f"{self._sequence} packets were sealed under this key")
        sizes = [len(payload) for payload in payloads]
        if not all(1 <= size <= MAX_PAYLOAD for size in sizes):
            raise Malformed("an empty Opus packet, or one of more than 65,535 bytes")
        pack, ssrc, duration = HEADER.pack, self._ssrc, self._frame_duration_ms
        headers = [
            pack(AUDIO, FROM_SERVER, size, ssrc, sequence * duration, sequence) for sequence, size in enumerate(sizes, first)
        ]
        keystream = self._cipher.keystreams(headers, sizes)
        self._sequence += len(payloads)
        datagrams = []
        offset = 0
        for header, payload, size in zip(headers, payloads, sizes, strict=True):
            sealed = int.from_bytes(payload, "big") ^ int.from_bytes(keystream[offset : offset + size], "big")
            datagrams.append(header + sealed.to_bytes(size, "big"))
            offset += (size + 15) & ~15
        return datagrams

    @property
    def sequence(self) -> int:
        """The sequence of the last packet sealed; 0 before the first."""
        return self._sequence

    def has_stamped(self, timestamp: int) -> bool:
        """Whether a packet sealed so far carries this timestamp (a device with echo cancellation sends it back)."""
        return timestamp % self._frame_duration_ms == 0 and 0 < timestamp <= self._sequence * self._frame_duration_ms
