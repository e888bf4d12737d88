"""Where settings come from: which of them the file writes, and which variable of the environment. Names only, never a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PREFIX, NESTED = "XIAOZHI_", "__"


@dataclass(frozen=True, slots=True)
class Origins:
    """``in_file`` and the keys of ``variables`` are names such as ``udp.listen_port``, and those of the sections they stand in.

    ``unknown``: what is written in the file or the environment, as it stands there, and is no setting.
    """

    file: Path | None = None
    in_file: frozenset[str] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def names_in(document: Mapping[str, Any], prefix: str = "") -> frozenset[str]:
    """The name of every key of ``document``, and of those within."""
    names = set()
    for key, value in document.items():
        names.add(f"{prefix}{key}")
        if isinstance(value, dict):
            names |= names_in(value, f"{prefix}{key}.")
    return frozenset(names)


def variables_in(environment: Mapping[str, str]) -> dict[str, str]:
    """The ``XIAOZHI_`` variable of every setting that the environment writes; a section can be one, written as JSON."""
    found: dict[str, str] = {}
    for variable, text in environment.items():
        if not variable.upper().startswith(PREFIX):
            continue
        name = variable[len(PREFIX) :].lower().replace(NESTED, ".")
        found |= dict.fromkeys(names_in(_object_in(text), f"{name}."), variable) | {name: variable}
    return found


def variable_of(name: str) -> str:
    """What the setting ``udp.listen_port`` is called in the environment."""
    return PREFIX + name.upper().replace(".", NESTED)


def _object_in(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
