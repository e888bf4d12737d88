"""Who hears, thinks and speaks (docs/providers.md): whether each can do its work with this configuration, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wyoming.event import Event
from wyoming.info import Describe

from app.doctor import models
from app.doctor.finding import Finding, fault, ok, warning
from app.doctor.kept import kept_warnings
from app.sections import OpenAi, Voice, VoiceStage
from app.settings import SettingsError
from app.voice.asr import RECOGNIZERS, make_recognizer
from app.voice.llm import MINDS, make_mind
from app.voice.provider import Provider, ProviderFault, Workshop
from app.voice.tts import SYNTHESIZERS, make_synthesizer
from app.voice.wyoming_connection import WyomingConnection

CALLED = {"offline": "the offline rules", "command": "the program of voice.tts.command"}
"""Providers whose names say nothing to a person."""
INFO = "info"
"""The event with which a Wyoming server answers ``describe``."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """``what``: the beginning of a sentence about it; ``poor``: what is said of providers that do not really do it."""

    name: str
    what: str
    table: Mapping[str, type[Any]]
    make: Callable[[Voice, Path], Provider]
    poor: Mapping[str, str]


def _make_synthesizer(voice: Voice, state_dir: Path) -> Provider:
    return make_synthesizer(voice.tts, Workshop(voice.openai, state_dir, voice.tts.timeout_seconds))


STAGES = (
    _Stage(
        "asr",
        "What people say is recognized",
        RECOGNIZERS,
        make_recognizer,
        {"none": "Nobody recognizes what people say, so every question is answered with an apology: set voice.asr.provider."},
    ),
    _Stage("llm", "Answers are found", MINDS, make_mind, {}),
    _Stage(
        "tts",
        "Answers are spoken",
        SYNTHESIZERS,
        _make_synthesizer,
        {"chime": "Answers are three tones and no words: install espeak-ng, or set voice.tts.provider."},
    ),
)


def findings(voice: Voice, state_dir: Path, seconds: float) -> Iterator[Finding]:
    """Stage by stage. ``seconds``: for each server that is asked."""
    for stage, section in zip(STAGES, (voice.asr, voice.llm, voice.tts), strict=True):
        yield from _judge(stage, voice, section, state_dir, seconds)
    vision = voice.vision
    if vision.enable:
        account = OpenAi(api_key=vision.api_key or voice.openai.api_key, base_url=vision.base_url or voice.openai.base_url)
        yield models.judge("voice.vision", "Pictures are looked at", account, vision.model, seconds)


def _judge(stage: _Stage, voice: Voice, section: VoiceStage, state_dir: Path, seconds: float) -> Iterator[Finding]:
    check, account = f"voice.{stage.name}", voice.openai
    with kept_warnings("app.voice.provider") as kept:
        try:
            provider = stage.make(voice, state_dir)
        except SettingsError as error:
            yield from (fault(check, line) for line in str(error).splitlines())
            return
    provider.close()
    yield from (warning(check, f"{words}.") for words in kept)
    name = next(name for name, made in stage.table.items() if isinstance(provider, made))
    options = provider.Options.model_validate(section.options.get(name, {}))
    if name in stage.poor:
        yield warning(check, stage.poor[name])
    elif name == "openai":
        account = OpenAi(api_key=options.api_key or account.api_key, base_url=options.base_url or account.base_url)
        yield models.judge(f"{check}.openai", stage.what, account, options.model, seconds)
    elif name == "wyoming":
        yield _describe(stage, f"{check}.wyoming", options.host, options.port, seconds)
    else:
        yield ok(check, f"{stage.what} by {CALLED.get(name, name)} on this machine.")


def _describe(stage: _Stage, place: str, host: str, port: int, seconds: float) -> Finding:
    """Asks a Wyoming server what it can do."""
    check = f"voice.{stage.name}"
    try:
        with WyomingConnection(host, port, seconds, place) as connection:
            connection.send(Describe())
            event = connection.receive()
    except ProviderFault as trouble:
        return fault(check, str(trouble))
    program = _program(event, stage.name)
    if program is None:
        return fault(check, f"The Wyoming server at {host}:{port} cannot do that work: correct {place}.host and {place}.port.")
    return ok(check, f"{stage.what} by the Wyoming server at {host}:{port} ({program:.60}).")


def _program(event: Event, kind: str) -> str | None:
    """The name of the first program of this kind (``asr``, ``tts``) in what a Wyoming server says of itself."""
    programs = event.data.get(kind) if event.type == INFO else None
    first = programs[0] if isinstance(programs, list) and programs else None
    return str(first.get("name", "")) if isinstance(first, dict) else None
