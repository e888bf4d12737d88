"""An utterance as PCM, for recognizers that read no Opus.

gevent and the settings are imported where they are used: the process of the offline recognizer decodes without them.
"""

from __future__ import annotations

import io
import wave

from app.opus.codec import SAMPLE_BYTES, Decoder, OpusMissing
from app.opus.packet import silent_packet
from app.protocol.malformed import Malformed
from app.voice.utterance import Utterance

RATE = 16_000
"""Hz of all PCM here; it is signed 16-bit little-endian, mono."""


def pcm_of(utterance: Utterance) -> bytes:
    """The utterance as PCM, decoded in the hub's thread pool; what was lost is concealed, so that time stays right.

    `load_decoder` has to have been called.
    """
    from gevent import get_hub

    pcm: bytes = get_hub().threadpool.apply(decoded, (utterance,))
    return pcm


def load_decoder(place: str) -> None:
    """Loads libopus, which must not be done first in a pool's thread: its search starts a program, and that needs the hub.

    Raises SettingsError with a sentence that begins with ``place``.
    """
    from app.settings import SettingsError

    try:
        Decoder(RATE)
    except OpusMissing as missing:
        raise SettingsError(f"{place}: {missing}") from None


def wav_of(utterance: Utterance) -> bytes:
    """The utterance as a WAV file, made like `pcm_of`."""
    pcm = pcm_of(utterance)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(SAMPLE_BYTES)
        writer.setframerate(RATE)
        writer.writeframes(pcm)
    return file.getvalue()


def decoded(utterance: Utterance) -> bytes:
    """What `pcm_of` does, in the caller's own thread."""
    decoder = Decoder(RATE)
    frame_bytes = RATE * utterance.frame_duration_ms // 1000 * SAMPLE_BYTES
    pieces: list[bytes] = []
    configuration: int | None = None
    for frame in utterance.frames:
        pcm = _decoded(decoder, frame)
        if pcm is not None and frame is not None:
            configuration = frame[0]
        elif configuration is not None:
            pcm = _decoded(decoder, silent_packet(configuration, utterance.frame_duration_ms))
        pieces.append(pcm or bytes(frame_bytes))
    return b"".join(pieces)


def _decoded(decoder: Decoder, packet: bytes | None) -> bytes | None:
    if packet is None:
        return None
    try:
        return decoder.decode(packet)
    except Malformed:
        return None
