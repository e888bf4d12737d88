"""The benchmarks run: every leg once, at a scale whose figures mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.console import PAGES

TOP = Path(__file__).resolve().parents[1]


def rows_of(benchmark: str, results: Path) -> dict[str, float]:
    """What it writes, by key."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--tiny", "--only", benchmark, "--results", str(results)],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (written,) = results.glob("*.json")
    return {row["key"]: row["value"] for section in json.loads(written.read_text())["sections"] for row in section["rows"]}


def test_the_benchmark_of_playback_hears_every_frame_and_writes_its_figures(tmp_path: Path) -> None:
    assert rows_of("playback", tmp_path)["downlink_frames"] == 10 * 20


def test_the_benchmark_of_websockets_hears_every_frame(tmp_path: Path) -> None:
    rows = rows_of("websocket", tmp_path)
    assert rows["websocket_frames"] >= 10 * 20  # on a busy machine more than the last utterance may still be on its way
    assert rows["websocket_wrong"] == 0


def test_the_benchmark_of_conversations_has_every_question_answered(tmp_path: Path) -> None:
    assert rows_of("conversations", tmp_path)["conversations_answered"] == 4


def test_the_benchmark_of_the_console_asks_for_every_page_and_follows_the_streams(tmp_path: Path) -> None:
    rows = rows_of("console", tmp_path)
    assert {name for name in rows if name.endswith("_ms")} == {f"console_{name}_ms" for name, _ in PAGES}
    assert rows["console_list_busy_bytes"] > 0
