"""A recognizer at OpenAI, or any server with its ``/v1/audio/transcriptions``: speaches, whisper.cpp, LocalAI, vLLM and others.

The utterance goes there as Ogg Opus, the device's packets as they came, or as WAV to a server that wants it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar, Literal

import gevent
from pydantic import Field

from app.opus.ogg import ogg_opus
from app.voice import openai_account
from app.voice.pcm import load_decoder, wav_of
from app.voice.provider import Options, Workshop
from app.voice.utterance import Utterance

if TYPE_CHECKING:
    import httpx2

PLACE = "voice.asr.openai"
ISO_639_1 = {"cmn": "zh", "yue": "zh", "eng": "en", "deu": "de", "spa": "es", "fra": "fr", "jpn": "ja", "kor": "ko"}
"""Three-letter languages that have two letters as well; others are left for the server to find out."""


class OpenAiOptions(Options):
    """``voice.asr.openai``."""

    api_key: str = Field(default="", repr=False)
    """Of this stage alone; empty: that of ``voice.openai``."""
    base_url: str = ""
    """The server of this stage alone; empty: that of ``voice.openai``."""
    model: str = Field(default="gpt-4o-mini-transcribe", min_length=1)
    """Who listens."""
    format: Literal["ogg", "wav"] = "ogg"
    """How the speech is sent; ``ogg``: the device's own packets; ``wav``: for a server that reads no Ogg."""
    prompt: str = ""
    """Names and words that the model should expect."""


class OpenAiRecognizer:
    """See app/voice/asr/recognizer.py. Raises SettingsError where there is no account, or no libopus to make WAV with."""

    Options: ClassVar = OpenAiOptions

    def __init__(self, options: OpenAiOptions, workshop: Workshop) -> None:
        if options.format == "wav":
            load_decoder(PLACE)
        self._options = options
        self._seconds = workshop.timeout_seconds
        self._client = openai_account.make_client(
            workshop.openai, PLACE, self._seconds, api_key=options.api_key, base_url=options.base_url
        )

    def transcribe(self, utterance: Utterance, language: str) -> str:
        """The words, in the time that the stage has, a second attempt included."""
        late = TimeoutError()
        with openai_account.faults(PLACE), gevent.Timeout(self._seconds, late):
            file = self._file(utterance)
            answer = openai_account.once_again(lambda: self._ask(file, language))
        return _text(answer)

    def close(self) -> None:
        self._client.close()

    def _file(self, utterance: Utterance) -> tuple[str, bytes, str]:
        if self._options.format == "wav":
            return "speech.wav", wav_of(utterance), "audio/wav"
        return "speech.ogg", ogg_opus(utterance.frames, utterance.frame_duration_ms), "audio/ogg"

    def _ask(self, file: tuple[str, bytes, str], language: str) -> httpx2.Response:
        """By the client's own ``post``: its method for transcriptions takes as long again to prepare the same request."""
        import httpx2

        fields = {"model": self._options.model, "language": iso_639_1(language), "prompt": self._options.prompt}
        return self._client.post(
            "/audio/transcriptions",
            body={**{name: value for name, value in fields.items() if value}, "response_format": "json"},
            files=[("file", file)],
            cast_to=httpx2.Response,
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )


def iso_639_1(language: str) -> str:
    """The two letters of a BCP 47 tag; empty when it has none."""
    primary = language.partition("-")[0].lower()
    return primary if len(primary) == 2 else ISO_639_1.get(primary, "")


def _text(answer: httpx2.Response) -> str:
    """Whatever Content-Type the server gives it, it is to be JSON."""
    try:
        document = json.loads(answer.content)
    except ValueError:
        document = None
    text = document.get("text") if isinstance(document, dict) else None
    if not isinstance(text, str):
        raise openai_account.not_understood(PLACE)
    return text.strip()
