"""``/v1/audio/transcriptions``: what is said in it is known when the packets are those of a recording."""

from __future__ import annotations

import io
import wave
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tests.openai_server import multipart, ogg
from tests.openai_server.answer import Answer, BadRequest, json_answer

SHARE = 0.5
"""Of an utterance's packets that have to be a recording's, for it to be that recording."""


class Recordings:
    """Texts by the packets in which they were spoken. A packet of DTX silence says nothing."""

    def __init__(self) -> None:
        self._owners: dict[bytes, list[tuple[str, int]]] = {}
        self._texts: dict[str, str] = {}

    def add(self, name: str, text: str, packets: Iterable[bytes]) -> None:
        self._texts[name] = text
        for index, packet in enumerate(packets):
            if len(packet) > 1:
                self._owners.setdefault(packet, []).append((name, index))

    def find(self, packets: Sequence[bytes]) -> tuple[str, str, bool]:
        """Name and text of the recording that most packets are from, empty for none, and whether they are in its order."""
        spoken = [packet for packet in packets if len(packet) > 1]
        votes = Counter(name for packet in spoken for name, _ in self._owners.get(packet, ()))
        if not votes:
            return "", "", False
        name, count = votes.most_common(1)[0]
        if count < SHARE * len(spoken):
            return "", "", False
        places = [index for packet in spoken for owner, index in self._owners.get(packet, ()) if owner == name]
        return name, self._texts[name], places == sorted(places)


def answer(content_type: str, body: bytes, recordings: Recordings, heard: str, facts: dict[str, Any], blank: bool) -> Answer:
    """``heard``: the text where the recording is not known. Raises BadRequest."""
    try:
        form = multipart.read(content_type, body)
    except multipart.BadForm as fault:
        raise BadRequest(str(fault)) from None
    fields = {field.name: field.value.decode("utf-8", "replace") for field in form if not field.filename}
    files = [field for field in form if field.filename]
    facts |= {"model": fields.get("model", ""), "language": fields.get("language", ""), "prompt": fields.get("prompt", "")}
    if len(files) != 1 or files[0].name != "file" or not facts["model"]:
        raise BadRequest("one file, named `file`, and a `model` are required")
    facts |= {"filename": files[0].filename, "bytes": len(files[0].value)}
    text = heard
    if files[0].value.startswith(b"RIFF"):
        facts |= _wav(files[0].value)
    else:
        found, known = _ogg(files[0].value, recordings)
        facts |= found
        text = known or heard
    facts |= {"text": "" if blank else text, "subject": text}
    if fields.get("response_format", "json") == "text":
        return Answer("text/plain; charset=utf-8", [facts["text"].encode()])
    return json_answer({"text": facts["text"]})


def _ogg(data: bytes, recordings: Recordings) -> tuple[dict[str, Any], str]:
    try:
        stream = ogg.read(data)
    except ogg.BadOgg as fault:
        raise BadRequest(f"Invalid file format: {fault}") from None
    name, text, in_order = recordings.find(stream.packets)
    facts = {
        "format": "ogg",
        "packets": len(stream.packets),
        "milliseconds": stream.samples // 48,
        "recording": name,
        "in_order": in_order,
        "channels": stream.channels,
    }
    return facts, text


def _wav(data: bytes) -> dict[str, Any]:
    try:
        with wave.open(io.BytesIO(data)) as file:
            rate, frames, channels, width = file.getframerate(), file.getnframes(), file.getnchannels(), file.getsampwidth()
    except (wave.Error, EOFError) as fault:
        raise BadRequest(f"Invalid file format: {fault}") from None
    return {"format": "wav", "rate": rate, "channels": channels, "width": width, "milliseconds": frames * 1000 // rate}
