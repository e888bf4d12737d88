"""The encoder's own speech decision, read from a SILK packet without decoding (RFC 6716, 4.2.3; PROTOCOL.md 6).

A SILK frame begins with plain flags, not entropy-coded history: one voice-activity bit per 20 ms, then one LBRR bit (mono). The
type of the first frame (4.2.7.3) is the first symbol that is range-coded; it can be read off the eight bits behind them, since
all bits before it are of probability 1/2.
"""

from __future__ import annotations

from app.opus.packet import TOCS, Mode

_BY_TOC: tuple[tuple[int, tuple[tuple[bool, ...], ...]] | None, ...] = tuple(
    (
        count := 1 if described.frame_us <= 20_000 else described.frame_us // 20_000,
        tuple(tuple(bool(byte >> 7 - bit & 1) for bit in range(count)) for byte in range(256)),
    )
    if described.mode is Mode.SILK and described.code == 0 and described.channels == 1
    else None
    for described in TOCS
)
_VOICED_FROM = 24 + 74
"""Of the 256 shares of an active frame's type, the first are those of the two unvoiced types (RFC 6716, table 9)."""


def speech_flags(packet: bytes) -> tuple[bool, ...] | None:
    """Whether each part of the packet, of 20 ms (10 ms in a packet of 10 ms), holds speech.

    A packet of DTX silence, 1 byte, holds none. None: the packet says nothing of speech (CELT, hybrid, stereo, or several
    frames in one packet), and only a decoder and a voice-activity detector can tell.
    """
    known = _BY_TOC[packet[0]]
    if known is None:
        return None
    count, flags = known
    return flags[packet[1]] if len(packet) > 1 else flags[0][:count]


def is_voiced(packet: bytes) -> bool | None:
    """Whether the packet's first 20 ms are voiced, as the encoder's search for a pitch decided: speech is, mere noise is not.

    None: the packet does not tell (see `speech_flags`; or it repeats an earlier one, LBRR, in front).
    """
    known = _BY_TOC[packet[0]]
    if known is None:
        return None
    if len(packet) < 3 or not packet[1] & 0x80:
        return False
    count = known[0]
    bits = packet[1] << 8 | packet[2]
    if bits >> 15 - count & 1:
        return None
    return (bits >> 7 - count & 0xFF) >= _VOICED_FROM
