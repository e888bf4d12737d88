"""What recognizers, minds and synthesizers have in common: their options, how one is chosen, and how they fail.

A provider is one file with one class and one line in the table of its room (docs/providers.md). The class has a model ``Options``
for the keys under ``voice.<stage>.<provider>`` and is made with ``Provider(options, workshop)``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from app.sections import AUTO, OpenAi, VoiceStage
from app.settings import SettingsError

log = logging.getLogger(__name__)


class FaultCode(StrEnum):
    """What kind of fault it is, for who says it in another language (``app/web/console/words/settings.json``)."""

    KEY = "key"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    LIMIT = "limit"
    REFUSED = "refused"
    BROKEN = "broken"
    """The provider's server has a fault of its own, or broke off."""
    LATE = "late"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    NOT_UNDERSTOOD = "not_understood"
    NONE = "none"
    """There is no provider."""
    OTHER = "other"


class ProviderFault(Exception):
    """A provider did not do its work. The text is one sentence for the log and the device's screen: what happened, and what to
    do. It never holds a key, a token, or what a person said."""

    def __init__(self, sentence: str, code: FaultCode = FaultCode.OTHER) -> None:
        super().__init__(sentence)
        self.code = code


class Options(BaseModel):
    """A provider's own keys. An unknown one is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every provider may use. ``timeout_seconds``: how long the stage may take to answer, or to go on answering; ``zone``:
    the time zone of the time that is told; None: this machine's.
    """

    openai: OpenAi
    state_dir: Path
    timeout_seconds: float
    zone: tzinfo | None = None


class Provider(Protocol):
    """What all providers share; what they do is in the protocol of their room."""

    Options: ClassVar[Any]
    """A subclass of `Options`; mypy has no read-only class variables, so no type fits every provider's own."""

    def close(self) -> None:
        """Gives up connections and processes; twice is fine."""
        ...


P = TypeVar("P", bound=Provider)


def choose(
    stage: str,
    section: VoiceStage,
    table: Mapping[str, type[P]],
    workshop: Workshop,
    *,
    by_default: str,
    at_worst: str,
) -> P:
    """The provider that ``voice.<stage>`` asks for.

    ``auto`` is ``openai`` where there is an account for it, else ``by_default``, and ``at_worst`` with a warning where that
    cannot run on this machine. Raises SettingsError with a sentence that names the setting.
    """
    wanted = section.provider
    if wanted == AUTO:
        wanted = "openai" if workshop.openai.is_configured and "openai" in table else by_default
    options = _options(stage, wanted, section, table)  # what is written wrong stops the start, whatever else could run
    try:
        return _make(table[wanted], options, workshop)
    except SettingsError as fault:
        if section.provider != AUTO or wanted != by_default:
            raise
        log.warning("voice.%s: %s goes on with %s", stage, fault, at_worst)
        return _make(table[at_worst], _options(stage, at_worst, section, table), workshop)


def _options(stage: str, name: str, section: VoiceStage, table: Mapping[str, type[P]]) -> Options:
    place = f"voice.{stage}"
    if name not in table:
        raise SettingsError(f"{place}.provider: {name!r} is none of {', '.join((AUTO, *table))}.")
    for key in section.options:
        if key not in table:
            raise SettingsError(f"{place}.{key}: there is no such key and no such provider; it knows {', '.join(table)}.")
    known: type[Options] = table[name].Options
    try:
        return known.model_validate(section.options.get(name, {}))
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(f"{place}.{name}", error))) from None


def _make(made: type[P], options: Options, workshop: Workshop) -> P:
    make: Any = made
    provider: P = make(options, workshop)
    return provider


def _sentences(place: str, error: ValidationError) -> list[str]:
    return [".".join((place, *map(str, fault["loc"]))) + f": {fault['msg']}." for fault in error.errors()]
