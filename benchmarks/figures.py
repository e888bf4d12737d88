"""The server's own figures: `/metrics`, read twice, gives what happened in between."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.server import BenchServer

_LINE = re.compile(r"^(\w+)(\{[^}]*\})? ([-+0-9.eEInfNa]+)$", re.MULTILINE)
_LABEL = re.compile(r'"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Scrape:
    """Every sample by its name, and its label's value where it has one."""

    samples: dict[tuple[str, str], float]

    @classmethod
    def of(cls, server: BenchServer) -> Scrape:
        found = {}
        for name, labels, value in _LINE.findall(server.get("/metrics")):
            label = _LABEL.search(labels)
            found[name, label[1] if label else ""] = float(value)
        return cls(found)

    def value(self, name: str, label: str = "") -> float:
        """``name`` without the prefix ``xiaozhi_``."""
        return self.samples[f"xiaozhi_{name}", label]

    def since(self, before: Scrape, name: str, label: str = "") -> int:
        return int(self.value(name, label) - before.value(name, label))

    def late_buckets(self, before: Scrape) -> list[tuple[float, int]]:
        """The playback's lateness since ``before``: upper bound in ms, frames in that bucket alone."""
        name = "xiaozhi_playback_late_seconds_bucket"
        bounds = sorted((float(label), label) for sample, label in self.samples if sample == name)
        buckets, total = [], 0.0
        for bound, label in bounds:
            count = self.samples[name, label] - before.samples[name, label]
            buckets.append((bound * 1000, int(count - total)))
            total = count
        return buckets


def quantile_bound(buckets: list[tuple[float, int]], share: float) -> float:
    """The upper bound of the bucket in which the quantile lies."""
    total = sum(count for _, count in buckets)
    reached = 0
    for bound, count in buckets:
        reached += count
        if reached and reached >= share * total:
            return bound
    return float("nan")


def quantile(values: list[float], share: float) -> float:
    """Of sorted values, the nearest rank."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
