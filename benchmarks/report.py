"""What was measured, as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. ``goal``: what the project asks of it, where it does; ``note``: how it was measured."""

    key: str
    figure: str
    value: float
    unit: str
    note: str = ""
    goal: str = ""


class Report:
    """Rows in the order in which they came, under titles. Prints each as it comes."""

    def __init__(self, machine: Machine, settings: dict[str, Any]) -> None:
        self._machine = machine
        self._settings = settings
        self._began = time.time()
        self._sections: list[tuple[str, list[Row]]] = []

    def section(self, title: str) -> None:
        self._sections.append((title, []))
        print(f"\n{title}", flush=True)

    def add(self, row: Row) -> None:
        self._sections[-1][1].append(row)
        goal = f"  (goal: {row.goal})" if row.goal else ""
        note = f"  {row.note}" if row.note else ""
        print(f"  {row.figure:<58} {_number(row.value):>10} {row.unit:<12}{goal}{note}", flush=True)

    def value(self, key: str) -> float | None:
        """The figure with this key, None when it was not measured."""
        return next((row.value for _, rows in self._sections for row in rows if row.key == key), None)

    def write(self, folder: Path = RESULTS) -> Path:
        """The JSON file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(self._began))}.json"
        document = {
            "measured_at": int(self._began),
            "seconds": round(time.time() - self._began, 1),
            "machine": self._machine.as_dict(),
            "settings": self._settings,
            "sections": [{"title": title, "rows": [asdict(row) for row in rows]} for title, rows in self._sections],
        }
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        return path


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "more"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"
