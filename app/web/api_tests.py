"""``POST /api/v1/tests/asr``, ``llm`` and ``tts``: tries recognizer, mind and voice, and says how long each took (docs/api.md).

A provider that fails is a test that was carried out: 200, with ``"ok": false`` and the provider's own sentence.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, json, request

from app.opus.codec import OpusMissing
from app.protocol.malformed import Malformed
from app.voice.provider import ProviderFault
from app.voice.recording import utterance_of
from app.voice.trial import Heard, NothingToTry, NotNow, Trials
from app.voice.tts.pool import in_pool
from app.web import body, sayable
from app.web.errors import error_response
from app.web.node import Node

PATH = "/api/v1/tests"
MAX_TEXT = 300
"""Characters."""
MAX_VOICE = 64
MAX_RECORDING = 3 * 1024 * 1024
"""Bytes: 30 seconds of WAV at 48 kHz, 16 bits, mono, are somewhat less."""
RECORDING_SECONDS = 30.0
"""How long it may take to arrive."""
SENTENCES = {"en": "Please turn on the light.", "zh": "请把灯打开。"}
QUESTIONS = {"en": "What can you do for me?", "zh": "你能帮我做什么？"}
"""What is said and asked where the request does not tell."""
SOUNDS = ("audio/wav", "audio/x-wav", "audio/wave", "audio/ogg", "application/ogg", "application/octet-stream")
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


class TrialsApi:
    """One test of a stage at a time."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials

    def tts(self) -> Response:
        """The voice says a sentence."""
        document = body.json_object(request)
        language = _language(document)
        text, voice = _text(document, SENTENCES, language), _voice(document)

        def trial() -> dict[str, Any]:
            spoken = self._trials.speak(text, language, voice)
            return {
                "text": text,
                "first_ms": spoken.first_ms,
                "whole_ms": spoken.whole_ms,
                "audio_ms": spoken.audio_ms,
                "audio": base64.b64encode(spoken.ogg).decode("ascii"),
            }

        return self._answer("tts", trial)

    def asr(self) -> Response:
        """The recognizer hears a recording, or a sentence that the voice says."""
        if request.mimetype in SOUNDS:
            return self._recording()
        document = body.json_object(request)
        language = _language(document)
        text = _text(document, SENTENCES, language)
        return self._answer("asr", lambda: {"said": text} | _heard(self._trials.hear_oneself(text, language)))

    def llm(self) -> Response:
        """The mind answers."""
        document = body.json_object(request)
        language = _language(document)
        question = _text(document, QUESTIONS, language)

        def trial() -> dict[str, Any]:
            thought = self._trials.think(question, language)
            return {"said": question, "text": thought.text, "first_ms": thought.first_ms, "whole_ms": thought.whole_ms}

        return self._answer("llm", trial)

    def _recording(self) -> Response:
        language = _language(dict(request.args), keys={"language"})
        data = body.read(request, MAX_RECORDING, RECORDING_SECONDS)

        def trial() -> dict[str, Any]:
            try:
                utterance = in_pool(utterance_of, data)
            except OpusMissing as missing:
                raise ProviderFault(str(missing)) from None
            return {"said": ""} | _heard(self._trials.recognize(utterance, language))

        return self._answer("asr", trial)

    def _answer(self, stage: str, trial: Callable[[], dict[str, Any]]) -> Response:
        try:
            found = {"ok": True} | trial()
        except ProviderFault as fault:
            found = {"ok": False, "error": str(fault), "code": fault.code.value}
        except NothingToTry as reason:
            return error_response(409, str(reason))
        except NotNow as reason:
            refusal = error_response(429, str(reason))
            refusal.headers["Retry-After"] = str(reason.seconds)
            return refusal
        document = {"provider": self._trials.providers()[stage]} | found
        return Response(json.dumps(document), mimetype="application/json", headers={"Cache-Control": "no-store"})


def blueprint(node: Node) -> Blueprint:
    """The routes."""
    routes = Blueprint("api_tests", __name__, url_prefix=PATH)
    api = TrialsApi(node.trials)
    for rule, handler in (("/tts", api.tts), ("/asr", api.asr), ("/llm", api.llm)):
        routes.add_url_rule(rule, handler.__name__, handler, methods=["POST"], provide_automatic_options=False)
    return routes


def _heard(heard: Heard) -> dict[str, Any]:
    return {"text": heard.text, "whole_ms": heard.whole_ms, "audio_ms": heard.audio_ms}


def _text(document: dict[str, Any], usual: dict[str, str], language: str) -> str:
    if "text" not in document:
        return usual["zh" if language.lower().startswith("zh") else "en"]
    text = sayable.text(document, "text", MAX_TEXT)
    if not any(map(str.isalnum, text)):
        raise Malformed('"text" has to hold a letter or a digit, or there is nothing to say')
    return text


def _language(document: dict[str, Any], keys: frozenset[str] | set[str] = frozenset({"text", "language", "voice"})) -> str:
    sayable.only(document, set(), frozenset(keys))
    language = document.get("language", "en")
    if not isinstance(language, str) or not _TAG.fullmatch(language):
        raise Malformed('"language" has to be a BCP 47 tag, like en or zh-CN')
    return language


def _voice(document: dict[str, Any]) -> str:
    voice = document.get("voice", "")
    if not isinstance(voice, str) or len(voice) > MAX_VOICE or not voice.isprintable():
        raise Malformed(f'"voice" has to be the name of a voice, of at most {MAX_VOICE} characters')
    return voice
