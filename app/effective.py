"""The configuration as it is in effect: every setting with its value, its default and where it comes from. No secret is in it.

What a secret setting holds is not here at all, only whether it holds something; addresses have lost their passwords, and the free
texts of providers whatever looks like a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from app.origins import Origins, variable_of
from app.sections import VoiceStage
from app.settings import Settings
from app.voice.stages import STAGES

MASK = "••••"
_KEPT = ("ota.signature_key", "mqtt.password")
"""What is generated and kept in ``secrets.json`` where nobody sets it."""
_SECRET = re.compile(r"key$|keys$|token|secret|passw|authorization|credential|cookie", re.IGNORECASE)
_LOGIN = re.compile(r"^(\w[\w+.-]*://)?(?:(?<=//)\S*|[^\s:@/]*:\S*)@")
_QUERY = re.compile(r"[?#]\S*")


class Source(StrEnum):
    """Where a value comes from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    GENERATED = "generated"
    """At the first start, and kept in the state directory."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``value`` and ``default`` are what JSON can hold; of a secret both are empty, and ``is_set`` tells the rest.

    ``variable``: what sets it in the environment; ``set_by``: the variable that has set it. ``help``: with ````` around names.
    """

    name: str
    value: Any
    default: Any
    source: Source
    variable: str
    set_by: str
    is_secret: bool
    is_set: bool
    help: str

    @property
    def section(self) -> str:
        """``udp`` of ``udp.listen_port``; empty of what stands in none."""
        return self.name.partition(".")[0] if "." in self.name else ""


@dataclass(frozen=True, slots=True)
class Effective:
    """``file``: None for settings that were never loaded. ``unknown``: what is written somewhere, and is no setting."""

    settings: tuple[Setting, ...]
    unknown: tuple[str, ...]
    file: Path | None
    state_dir: Path


def effective(settings: Settings) -> Effective:
    """Of ``settings``, in the order in which they are written down."""
    origins = settings.origins
    return Effective(tuple(_of_model(settings, "", settings, origins)), origins.unknown, origins.file, settings.state_dir)


def _of_model(model: BaseModel, prefix: str, settings: Settings, origins: Origins) -> Iterator[Setting]:
    for key, field in type(model).model_fields.items():
        value = getattr(model, key)
        if isinstance(value, BaseModel):
            yield from _of_model(value, f"{prefix}{key}.", settings, origins)
        else:
            yield _setting(f"{prefix}{key}", value, field, origins, settings)
    if isinstance(model, VoiceStage):
        yield from _of_providers(model, prefix, settings, origins)


def _of_providers(stage: VoiceStage, prefix: str, settings: Settings, origins: Origins) -> Iterator[Setting]:
    """All keys of the provider that works, and those of the others that are written."""
    known = STAGES[prefix.split(".")[1]]
    wanted = known.wanted(stage, settings.voice.openai)
    for name, provider in known.providers.items():
        written = stage.options.get(name, {})
        try:
            options: BaseModel | None = provider.Options.model_validate(written)
        except ValueError:  # of one that does not work, nobody has checked them
            options = None
        for key, field in provider.Options.model_fields.items():
            if options is not None and (name == wanted or key in written):
                yield _setting(f"{prefix}{name}.{key}", getattr(options, key), field, origins, settings)
            elif key in written:
                yield _setting(f"{prefix}{name}.{key}", written[key], field, origins, settings)


def _setting(name: str, value: Any, field: FieldInfo, origins: Origins, settings: Settings) -> Setting:
    is_secret = is_secret_field(name, field)
    default = default_of(field)
    set_by = origins.variables.get(name, "")
    source = Source.ENVIRONMENT if set_by else Source.FILE if name in origins.in_file else Source.DEFAULT
    is_set = value not in ("", None)
    if name in _KEPT and not is_set and (name != "mqtt.password" or settings.runs_broker):
        source, is_set = Source.GENERATED, True
    shown = shown_url(str(value)) if name == "database.url" else "" if is_secret else shown_value(to_jsonable_python(value))
    is_secret = is_secret and name != "database.url"
    return Setting(
        name, shown, "" if is_secret else default, source, variable_of(name), set_by, is_secret, is_set, help_of(field)
    )


def is_secret_field(name: str, field: FieldInfo) -> bool:
    """Whether its value is nobody's business."""
    return not field.repr or bool(_SECRET.search(name.rpartition(".")[2]) and field.annotation is str)


def default_of(field: FieldInfo) -> Any:
    """As JSON; None where there is none."""
    default = field.get_default(call_default_factory=True, validated_data={})
    return None if default is PydanticUndefined else to_jsonable_python(default)


def help_of(field: FieldInfo) -> str:
    """The sentence under the field, on one line."""
    return " ".join((field.description or "").split())


def shown_value(value: Any) -> Any:
    """``value`` without what may be secret in it: passwords in addresses, and whatever is called a key, at any depth."""
    if isinstance(value, str):
        return shown_url(value) if "://" in value or _LOGIN.match(value) else value
    if isinstance(value, dict):
        return {key: MASK if _SECRET.search(str(key)) and inner else shown_value(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shown_argument(before, one) for before, one in zip(["", *value], value, strict=False)]
    return value


def shown_url(url: str) -> str:
    """An address without its login, and without its query, which may be one too."""
    return _QUERY.sub(f"?{MASK}", _LOGIN.sub(rf"\1{MASK}@", url))


def _shown_argument(before: Any, one: Any) -> Any:
    """One of a program's arguments; ``before``: the one in front of it."""
    if not isinstance(one, str):
        return shown_value(one)
    name, equals, _ = one.partition("=")
    if equals and _SECRET.search(name):
        return f"{name}={MASK}"
    is_value = isinstance(before, str) and before.startswith("-") and "=" not in before and _SECRET.search(before)
    return MASK if is_value else shown_value(one)
