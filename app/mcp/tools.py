"""What a device's tool is: under which name and schema a model gets to see it, and which tools no model gets to see. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.mcp import schema
from app.protocol.malformed import Malformed

MAX_NAME_CHARS = 128
MAX_SAFE_CHARS = 64
MAX_DESCRIPTION_CHARS = 1024
"""As long as OpenAI's API lets a function's description be."""

FOR_PEOPLE = frozenset(
    {
        "self.reboot",
        "self.upgrade_firmware",
        "self.get_system_info",
        "self.screen.get_info",
        "self.screen.snapshot",
        "self.screen.preview_image",
        "self.assets.set_download_url",
    }
)
"""What firmware adds as tools for its user alone. A device lists them only ``withUserTools``; one that lists them always is no
reason to let a model reboot it, or fetch from an address that a model thinks up."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_SAFE = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_SAFE_CHARS}}}")


@dataclass(frozen=True, slots=True)
class DeviceTool:
    """``name``: as the device calls it; ``safe_name``: of ``[A-Za-z0-9_-]{1,64}``, and no two tools of a device have the same.

    ``schema``: of its arguments, cleaned (schema.py); ``for_people``: never to be offered to a model.
    """

    name: str
    description: str = ""
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    for_people: bool = False
    safe_name: str = ""

    @property
    def size(self) -> int:
        """Bytes of name, description and schema, as a model is sent them."""
        return len(self.name.encode()) + len(self.description.encode()) + len(schema.as_json(self.schema))


def read(entry: Any) -> DeviceTool:
    """One entry of ``tools/list``, without its safe name yet. Raises Malformed; the text names the tool where it has a name."""
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise Malformed(f"a tool without a name of 1 to {MAX_NAME_CHARS} characters")
    description = entry.get("description")
    try:
        cleaned = schema.clean(entry.get("inputSchema"))
    except Malformed as fault:
        raise Malformed(f"{name}: {fault}") from None
    return DeviceTool(
        name,
        _whole(description[:MAX_DESCRIPTION_CHARS]) if isinstance(description, str) else "",
        cleaned,
        name in FOR_PEOPLE or _is_annotated_for_people(entry.get("annotations")),
    )


def with_safe_names(tools: Iterable[DeviceTool]) -> tuple[DeviceTool, ...]:
    """``tools`` with their safe names, which replace the others in what the descriptions say of each other.

    A name that is safe stays what it is, so that a safe name is never another tool's own name. Of two tools of one name the first
    is kept.
    """
    first: dict[str, DeviceTool] = {}
    for tool in tools:
        first.setdefault(tool.name, tool)
    kept = list(first.values())
    names = {name: name for name in first if _SAFE.fullmatch(name)}
    taken = set(names)
    for tool in kept:
        if tool.name not in names:
            names[tool.name] = _free_name(tool.name, taken)
            taken.add(names[tool.name])
    described = _described(kept, names)
    return tuple(replace(tool, safe_name=names[tool.name], description=text) for tool, text in zip(kept, described, strict=True))


def _whole(text: str) -> str:
    """``text`` without the half characters that JSON can say and no model's server takes."""
    return text.encode(errors="ignore").decode()


def _is_annotated_for_people(annotations: Any) -> bool:
    audience = annotations.get("audience") if isinstance(annotations, dict) else None
    return isinstance(audience, list) and "user" in audience and "assistant" not in audience


def _free_name(name: str, taken: set[str]) -> str:
    safe = _UNSAFE.sub("_", name)[:MAX_SAFE_CHARS]
    free, number = safe, 1
    while free in taken:
        number += 1
        free = f"{safe[: MAX_SAFE_CHARS - len(str(number)) - 1]}_{number}"
    return free


def _described(tools: Sequence[DeviceTool], names: dict[str, str]) -> list[str]:
    """Their descriptions, which speak of other tools (``call self.get_device_status first``) by the names a model knows."""
    changed = sorted((name for name, safe in names.items() if name != safe), key=len, reverse=True)
    if not changed:
        return [tool.description for tool in tools]
    pattern = re.compile("|".join(re.escape(name) for name in changed))
    return [pattern.sub(lambda match: names[match[0]], tool.description)[:MAX_DESCRIPTION_CHARS] for tool in tools]
