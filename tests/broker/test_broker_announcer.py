"""The announcements' queue while there is no broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.broker.announcer import Announcer
from app.broker.counters import Counters
from app.broker.upstream import Upstream


@pytest.mark.parametrize(("most_devices", "room"), [(1, 1000), (2000, 4000)])
def test_announcements_beyond_the_queue_are_counted(most_devices: int, room: int) -> None:
    counters = Counters()
    announcer = Announcer(Upstream(Path("/nowhere")), counters, dict, most_devices)
    for _ in range(room + 3):
        announcer.lifecycle(device_id="d", state="online", client_id="c", server_host="s", address="a")
    assert counters.dropped.lifecycle_overflow == 3
    announcer.stop()
