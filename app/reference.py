"""The reference of the configuration, written from the settings themselves: ``python -m app.reference > docs/configuration.md``.

A test compares the two, so what is written there is true.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app import sections
from app.effective import default_of, help_of, is_secret_field
from app.origins import variable_of
from app.settings import PLATFORM_VARIABLES, Settings
from app.voice.stages import STAGES

FIRST = ("mqtt", "mqtt_server", "udp", "ota", "websocket")
"""The sections of the protocol's documents, which people have already."""
_INTRODUCTION = """\
# The configuration, key by key

This page is generated from the settings (`make docs`); a test keeps it true. [README.md](../README.md) explains the idea, and
[providers.md](providers.md) recognizer, mind and voice with examples. `GET /api/v1/settings` and the page *Settings* of the
console show what is in effect on a server, and where each value comes from.

- The file is `config/config.json`, or the one that `XIAOZHI_CONFIG` names: `{"udp": {"listen_port": 9000}}`.
- The environment goes over the file: `XIAOZHI_UDP__LISTEN_PORT=9000`. Lists and objects are written as JSON there.
- `PORT` is `websocket.port` and `DATABASE_URL` is `database.url`, as hosting platforms set them; a `XIAOZHI_` variable goes over
  both. `OPENAI_API_KEY` and `OPENAI_BASE_URL` are `voice.openai`, where the file leaves that empty.
- `XIAOZHI_STATE_DIR` names the directory where everything is kept that has to last (`var`).
- A value that does not fit stops the start with a sentence that names it. A key that nobody knows is named in a warning.
- A server reads its settings when it starts: restart it after a change.

**secret** keys are shown nowhere, neither in logs nor in the console.
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One line of a table."""

    name: str
    kind: str
    default: str
    help: str


def document() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    fields = {name: field for name, field in Settings.model_fields.items() if _model_of(field) is not None}
    for name in (*FIRST, *(name for name in fields if name not in FIRST)):
        model = _model_of(fields[name])
        if model is not None:
            parts.append(_section(name, model))
    return "\n".join(parts)


def _section(name: str, model: type[BaseModel]) -> str:
    first, _, _ = (model.__doc__ or "").partition("\n\n")
    return f"## `{name}`\n\n{_marked(' '.join(first.split()))}\n\n{_table(_keys(model, f'{name}.'))}"


def _table(keys: Iterator[Key]) -> str:
    lines = ["| key, and its variable | value | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [f"| `{key.name}`<br>{_variables(key.name)} | {key.kind} | {key.default} | {key.help} |" for key in keys]
    return "\n".join([*lines, ""])


def _keys(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        inner = _model_of(field)
        if inner is not None:
            yield from _keys(inner, f"{prefix}{name}.")
        else:
            yield _key(f"{prefix}{name}", field)
    if issubclass(model, sections.VoiceStage):
        for provider, made in STAGES[prefix.split(".")[1]].providers.items():
            for name, field in made.Options.model_fields.items():
                yield _key(f"{prefix}{provider}.{name}", field)


def _variables(name: str) -> str:
    return ", ".join(f"`{variable}`" for variable in (variable_of(name), *filter(None, [PLATFORM_VARIABLES.get(name)])))


def _key(name: str, field: FieldInfo) -> Key:
    kind = _kind(field)
    stage = name.removeprefix("voice.").removesuffix(".provider")
    if stage in STAGES:
        kind = " or ".join(f"`{one}`" for one in (sections.AUTO, *STAGES[stage].providers))
    if is_secret_field(name, field):
        kind = f"{kind}, **secret**"
    return Key(name, kind, _default(field), _cell(_marked(help_of(field))))


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "has to be set"
    default = default_of(field)
    if default in ("", None):
        return "empty"
    text = default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
    return f"`{_cell(text)}`"


def _kind(field: FieldInfo) -> str:
    """Its type and bounds, in words."""
    kind = _type(field.annotation)
    bounds = _bounds(field.metadata)
    return f"{kind} {bounds}".strip()


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{_cell(str(value))}`" for value in get_args(annotation))
    if get_origin(annotation) in (tuple, list):
        return f"list of {_type(get_args(annotation)[0])}s"
    if get_origin(annotation) is dict:
        return "object"
    inner = [one for one in get_args(annotation) if one is not type(None)]
    if inner:  # a union, or an annotated type
        named = dict.fromkeys(_with_bounds(one) for one in inner if not _is_note(one))
        return " or ".join(named)
    return _NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _with_bounds(annotation: Any) -> str:
    return f"{_type(annotation)} {_bounds(getattr(annotation, '__metadata__', ()))}".strip()


def _is_note(argument: Any) -> bool:
    """Whether it is a note in an annotated type, not a type."""
    return not isinstance(argument, type) and get_origin(argument) is None


def _bounds(metadata: Sequence[Any]) -> str:
    known: dict[type, Any] = {}
    for one in metadata:
        for note in getattr(one, "metadata", None) or [one]:
            known[type(note)] = note
    least, most = known.get(Ge) or known.get(Gt), known.get(Le) or known.get(Lt)
    said = []
    if least is not None:
        said.append(f"from {least.ge:,}" if isinstance(least, Ge) else f"above {least.gt:,}")
    if most is not None:
        said.append(f"to {most.le:,}" if isinstance(most, Le) else f"below {most.lt:,}")
    if MaxLen in known:
        said.append(f"of at most {known[MaxLen].max_length:,} characters")
    elif MinLen in known:
        said.append("that is not empty")
    return " ".join(said)


_NAMES: dict[Any, str] = {
    bool: "`true` or `false`",
    int: "number",
    float: "number",
    str: "text",
    Any: "anything",
    Path: "file",
    IPv4Network: "network",
    IPv6Network: "network",
}


def _marked(text: str) -> str:
    return text.replace("``", "`")


def _cell(text: str) -> str:
    """In a table a bar would end the cell."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(document())
