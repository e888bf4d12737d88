"""Sentences kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from pathlib import Path

import pytest

from app.voice.tts.cache import BLOCK_BYTES, LONGEST_TEXT, SpeechCache

PACKETS = [b"\x58" + bytes([number]) * 50 for number in range(20)]
MEGABYTE = 1_000_000


def key(text: str = "hello", **other: object) -> str:
    parts: dict[str, object] = {"identity": "voice", "language": "en", "frame_duration_ms": 60, "sample_rate": 24_000}
    return SpeechCache.key(text=text, **(parts | other))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "speech"


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_sentence_comes_back_after_a_restart(folder: Path) -> None:
    SpeechCache(folder, MEGABYTE).put(key(), "hello", PACKETS)
    assert SpeechCache(folder, MEGABYTE).get(key()) == PACKETS


def test_what_was_not_said_is_not_found(folder: Path) -> None:
    assert SpeechCache(folder, MEGABYTE).get(key()) is None


def test_whatever_the_sound_depends_on_makes_another_sentence() -> None:
    others = [
        key(identity="other"),
        key(language="de"),
        key(frame_duration_ms=20),
        key(sample_rate=16_000),
        key("hell"),
        key("o hello", identity="voice"),
        key(language="", identity="voiceen"),
    ]
    assert len({key(), *others}) == len(others) + 1


def test_only_this_user_can_read_what_was_said_and_no_name_tells_it(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)
    SpeechCache(folder, MEGABYTE).put(key(), "hello", PACKETS)
    (file,) = files(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "hello" not in file.name
    assert b"hello" not in file.read_bytes()


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:60] + b"!" + data[61:]])
def test_a_damaged_file_is_deleted_and_made_again(folder: Path, damage) -> None:  # type: ignore[no-untyped-def]
    cache = SpeechCache(folder, MEGABYTE)
    cache.put(key(), "hello", PACKETS)
    (file,) = files(folder)
    file.write_bytes(damage(file.read_bytes()))
    assert cache.get(key()) is None
    assert files(folder) == []
    cache.put(key(), "hello", PACKETS)
    assert cache.get(key()) == PACKETS


def test_a_file_with_a_true_checksum_and_a_false_body_is_damaged_too(folder: Path) -> None:
    cache = SpeechCache(folder, MEGABYTE)
    cache.put(key(), "hello", PACKETS)
    (file,) = files(folder)
    for body in (b"", b"\x00", b"\x00\x09short", b"\x00\x00"):
        file.write_bytes(b"XZSP\x01" + hashlib.sha256(body).digest() + body)
        assert cache.get(key()) is None


def test_the_longest_unused_sentence_makes_room(folder: Path) -> None:
    cache = SpeechCache(folder, 3 * BLOCK_BYTES)
    for number, text in enumerate(("one", "two", "three")):
        cache.put(key(text), text, PACKETS)
        os.utime(folder / f"{key(text)}.speech", (number, number))
    assert cache.get(key("one")) == PACKETS
    cache.put(key("four"), "four", PACKETS)
    assert cache.get(key("two")) is None
    assert cache.get(key("one")) == cache.get(key("three")) == cache.get(key("four")) == PACKETS


def test_what_was_used_last_is_known_after_a_restart(folder: Path) -> None:
    cache = SpeechCache(folder, 3 * BLOCK_BYTES)
    for number, text in enumerate(("one", "two", "three")):
        cache.put(key(text), text, PACKETS)
        os.utime(folder / f"{key(text)}.speech", (number, number))
    cache.get(key("one"))
    again = SpeechCache(folder, 3 * BLOCK_BYTES)
    again.put(key("four"), "four", PACKETS)
    assert {file.name.removesuffix(".speech") for file in files(folder)} == {key("one"), key("three"), key("four")}


def test_a_smaller_bound_holds_for_what_is_there_already(folder: Path) -> None:
    cache = SpeechCache(folder, MEGABYTE)
    for number in range(10):
        cache.put(key(str(number)), str(number), PACKETS)
    SpeechCache(folder, 2 * BLOCK_BYTES).put(key("new"), "new", PACKETS)
    assert len(files(folder)) == 2


def test_what_an_interrupted_run_left_behind_is_deleted(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"{key()}.0123.new").write_bytes(b"half")
    (folder / "README").write_text("somebody's")
    SpeechCache(folder, MEGABYTE).put(key("other"), "other", PACKETS)
    assert {file.name for file in files(folder)} == {"README", f"{key('other')}.speech"}


def test_long_texts_and_what_is_larger_than_all_are_not_kept(folder: Path) -> None:
    cache = SpeechCache(folder, 2 * BLOCK_BYTES)
    cache.put(key(), "x" * (LONGEST_TEXT + 1), PACKETS)
    cache.put(key(), "hello", PACKETS * 100)
    cache.put(key(), "hello", [])
    assert cache.get(key()) is None


def test_without_room_nothing_is_touched(folder: Path) -> None:
    cache = SpeechCache(folder, 0)
    cache.put(key(), "hello", PACKETS)
    assert cache.get(key()) is None
    assert not folder.exists()


def test_a_disk_that_cannot_be_written_costs_one_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be")
    cache = SpeechCache(folder, MEGABYTE)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            cache.put(key(), "hello", PACKETS)
            assert cache.get(key()) is None
    assert len(caplog.records) == 1
    assert "speech is not kept there" in caplog.text
