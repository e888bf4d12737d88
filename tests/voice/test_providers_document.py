"""docs/providers.md: what it lists exists, and the provider that it shows speaks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from app.sections import OpenAi
from app.voice.asr import RECOGNIZERS
from app.voice.llm import MINDS
from app.voice.provider import Workshop
from app.voice.tts import SYNTHESIZERS
from app.voice.tts.synthesizer import Pcm

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "providers.md").read_text("utf-8")


@pytest.mark.parametrize(("stage", "table"), [("asr", RECOGNIZERS), ("llm", MINDS), ("tts", SYNTHESIZERS)])
def test_every_provider_is_listed_and_every_one_listed_exists(stage: str, table: dict[str, Any]) -> None:
    (row,) = re.findall(rf"^\| `voice\.{stage}` \| ([^|]*) \|", DOCUMENT, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == list(table)


@pytest.mark.parametrize(("stage", "table"), [("asr", RECOGNIZERS), ("llm", MINDS), ("tts", SYNTHESIZERS)])
def test_every_option_of_a_provider_is_listed(stage: str, table: dict[str, Any]) -> None:
    for name, provider in table.items():
        options = list(provider.Options.model_fields)
        if options:
            (row,) = re.findall(rf"^\| `voice\.{stage}\.{name}` \|(.*)$", DOCUMENT, re.MULTILINE)
            assert set(options) <= set(re.findall(r"`([a-z_]+)`", row)), f"{stage}.{name}"


def test_the_provider_that_is_shown_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flite = tmp_path / "flite"
    flite.write_text("#!/bin/sh\nexec espeak-ng --stdin --stdout\n")
    flite.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (source,) = re.findall(r'```python\n("""flite.*?)```', DOCUMENT, re.DOTALL)
    module: dict[str, Any] = {"__name__": "flite"}
    exec(compile(source, "docs/providers.md", "exec"), module)  # noqa: S102  # our own document
    shown = module["FliteSynthesizer"]
    voice = shown(shown.Options(), Workshop(OpenAi(), tmp_path, 20))
    pieces = list(voice.synthesize("hello", "en"))
    assert all(isinstance(piece, Pcm) for piece in pieces)
    assert sum(len(piece.samples) / 2 / piece.rate for piece in pieces) > 0.2
