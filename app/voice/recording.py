"""A recording that somebody brings, WAV or Ogg Opus, made into an utterance as a device would have sent it."""

from __future__ import annotations

from app.opus.codec import MICROPHONE_FRAME_DURATION_MS, MICROPHONE_SAMPLE_RATE, Decoder
from app.opus.ogg import OggReader
from app.protocol.malformed import Malformed
from app.voice.tts.encoding import SpeechEncoder, pcm_bytes
from app.voice.tts.wav import WavReader
from app.voice.utterance import Utterance

LONGEST_SECONDS = 30


def utterance_of(data: bytes) -> Utterance:
    """What the first 30 seconds of a WAV or Ogg Opus file say. CPU work, for the thread pool. Raises Malformed, OpusMissing."""
    rate, pcm = _from_ogg(data) if data.startswith(b"OggS") else _from_wav(data)
    pcm = pcm[: pcm_bytes(rate, LONGEST_SECONDS * 1000)]
    if not pcm:
        raise Malformed("the recording holds no sound")
    encoder = SpeechEncoder(MICROPHONE_FRAME_DURATION_MS, MICROPHONE_SAMPLE_RATE, None)
    packets = encoder.encode(rate, pcm) + encoder.finish()
    return Utterance(tuple(packets), MICROPHONE_FRAME_DURATION_MS)


def _from_wav(data: bytes) -> tuple[int, bytes]:
    try:
        sound = WavReader().feed(data)
    except Malformed as fault:
        raise Malformed(f"expected a WAV or an Ogg Opus file, and this is {fault}") from None
    return (MICROPHONE_SAMPLE_RATE, b"") if sound is None else (sound.rate, sound.samples)


def _from_ogg(data: bytes) -> tuple[int, bytes]:
    decoder = Decoder(MICROPHONE_SAMPLE_RATE)
    enough = pcm_bytes(MICROPHONE_SAMPLE_RATE, LONGEST_SECONDS * 1000)
    pcm = bytearray()
    for packet in OggReader().feed(data):
        pcm += decoder.decode(packet)
        if len(pcm) >= enough:
            break
    return MICROPHONE_SAMPLE_RATE, bytes(pcm)
