"""The journal: what was put is there after a kill."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import journal as journal_module
from app.journal import Journal

TOP = Path(__file__).resolve().parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.jsonl"


def reopened(journal: Journal, path: Path, max_entries: int = 100) -> Journal:
    """The file as the next process finds it; the first one is not told to close."""
    assert journal is not None
    return Journal(path, max_entries)


def test_what_was_put_is_there_for_the_next_process(path: Path) -> None:
    journal = Journal(path, 100)
    journal.put("a", {"x": [1, "é\n"]})
    journal.put("b", 1)
    journal.put("b", 2)
    assert dict(reopened(journal, path).items()) == {"a": {"x": [1, "é\n"]}, "b": 2}


def test_a_journal_that_is_forgotten_leaves_no_file_open(path: Path) -> None:
    Journal(path, 100).put("a", 1)
    opened = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert path not in opened


def test_what_was_removed_stays_removed(path: Path) -> None:
    journal = Journal(path, 100)
    journal.put("a", 1)
    journal.put("b", 1)
    journal.put("a", None)
    journal.remove("b")
    journal.remove("never there")
    assert len(reopened(journal, path)) == 0
    assert journal.get("a") is None


def test_a_kill_loses_nothing_that_was_put(path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from app.journal import Journal\n"
        "j = Journal(Path(sys.argv[1]), 5000)\n"
        "for i in range(3000): j.put(f'k{i % 700}', i)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], cwd=TOP, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert dict(Journal(path, 5000).items()) == {f"k{i % 700}": i for i in range(3000)}


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_a_line_cut_short_is_ignored_and_said(path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(path, 100)
    journal.put("a", "first")
    journal.put("b", "second")
    journal.close()
    os.truncate(path, path.stat().st_size - 1 - cut)
    with caplog.at_level(logging.WARNING):
        again = Journal(path, 100)
    assert dict(again.items()) == {"a": "first"}
    assert "1 damaged line" in caplog.text
    again.put("c", 1)
    assert dict(reopened(again, path).items()) == {"a": "first", "c": 1}


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(max_size=100))
def test_no_file_content_keeps_it_from_opening(path: Path, garbage: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b'["kept",1]\n' + garbage + b'\n["also",2]\n' + garbage)
    journal = Journal(path, 100)
    assert journal.get("kept") == 1
    assert journal.get("also") == 2
    journal.close()


@pytest.mark.parametrize("line", ['{"a":1,"b":2}', '"ab"', "[1,2]", '["a"]', '["a",1,2]', "7", "null", "[]"])
def test_json_that_is_no_record_is_a_damaged_line(path: Path, line: str) -> None:
    path.parent.mkdir()
    path.write_text(f'{line}\n["kept",1]\n')
    assert dict(Journal(path, 100).items()) == {"kept": 1}


def test_deep_nesting_in_the_file_is_a_damaged_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"[" * 100_000 + b'\n["a",1]\n')
    assert dict(Journal(path, 100).items()) == {"a": 1}


def test_the_oldest_entry_is_dropped_and_counted_when_there_are_too_many(path: Path) -> None:
    journal = Journal(path, 3)
    for key in "abc":
        journal.put(key, 1)
    journal.put("a", 2)
    journal.put("d", 1)
    assert [key for key, _ in journal.items()] == ["c", "a", "d"]
    assert journal.dropped == 1
    again = reopened(journal, path, 3)
    assert [key for key, _ in again.items()] == ["c", "a", "d"]
    assert again.dropped == 0


def test_an_unchanged_value_is_not_written_but_counts_as_young(path: Path) -> None:
    journal = Journal(path, 2)
    journal.put("a", 1)
    journal.put("b", 1)
    size = path.stat().st_size
    journal.put("a", 1)
    assert path.stat().st_size == size
    journal.put("c", 1)
    assert [key for key, _ in journal.items()] == ["a", "c"]


def test_the_file_stays_small_however_often_a_value_changes(path: Path) -> None:
    journal = Journal(path, 100)
    for i in range(10_000):
        journal.put("a", i)
    assert len(path.read_bytes().splitlines()) <= journal_module.COMPACT_MIN_LINES + 1
    assert reopened(journal, path).get("a") == 9999


def test_opening_leaves_each_entry_once_and_nothing_else(path: Path) -> None:
    journal = Journal(path, 100)
    for i in range(50):
        journal.put("a", i)
    reopened(journal, path)
    assert path.read_bytes() == b'["a",49]\n'
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_only_its_owner_can_read_it(path: Path) -> None:
    Journal(path, 100).put("a", 1)
    assert path.stat().st_mode & 0o077 == 0


def test_a_full_disk_is_counted_said_once_and_made_good_when_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(path, 100)
    journal.put("a", 1)
    write = os.write

    def no_room(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", no_room)
    journal.put("b", 1)
    journal.put("c", 1)
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    journal.put("d", 1)
    assert journal.write_errors == 3
    assert caplog.text.count("cannot be written") == 1
    assert journal.get("c") == 1
    monkeypatch.setattr(os, "write", write)
    journal.put("e", 1)
    assert dict(reopened(journal, path).items()) == dict.fromkeys("abcde", 1)


def test_a_record_cut_short_by_a_full_disk_does_not_swallow_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path, 100)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    journal.put("a", 1)
    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(journal, "_compact", lambda: None)
    journal.put("b", 1)
    monkeypatch.undo()
    assert dict(reopened(journal, path).items()) == {"b": 1}


def test_a_place_that_cannot_be_written_is_no_error_for_the_caller(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "journal.jsonl", 100)
    journal.put("a", 1)
    assert journal.get("a") == 1
    assert journal.write_errors >= 1


def test_it_can_be_closed_twice_and_opens_again_when_needed(path: Path) -> None:
    journal = Journal(path, 100)
    journal.close()
    journal.close()
    journal.put("a", 1)
    assert reopened(journal, path).get("a") == 1


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(puts=st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.integers(0, 3)), max_size=40))
def test_a_reopened_journal_equals_the_one_that_was_left(path: Path, puts: list[tuple[str, int | None]]) -> None:
    path.unlink(missing_ok=True)
    journal = Journal(path, 4)
    for key, value in puts:
        journal.put(key, value)
    again = Journal(path, 4)
    assert dict(again.items()) == dict(journal.items())
    journal.close()
    again.close()
