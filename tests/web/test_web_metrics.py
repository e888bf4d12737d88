"""The metrics as Prometheus reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.figures import BrokerFigures, Figures, Histogram
from app.web.application import create_web
from tests.web.fake_node import KEY, FakeNode, make_node

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
FULL = Figures(
    sessions_active=3,
    hellos={"accepted": 5, "refused_full": 1},
    udp_received={"accepted": 100, "replayed": 2},
    playback_late_ms=Histogram((1, 5, 20), (90, 8, 1, 1), 140),
    mqtt_connected=True,
    broker=BrokerFigures(mosquitto_restarts=2, connects={"accepted": 7}, dropped={"oversized": 1}),
)


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    node = make_node(tmp_path)
    node.counted = FULL
    return node


def scrape(node: FakeNode) -> tuple[dict[tuple[str, str], float], str]:
    """Each sample's value by name and first label, and the text."""
    response = create_web(node).test_client().get("/metrics")
    assert response.status_code == 200
    families = text_string_to_metric_families(response.text)
    samples = {(s.name, next(iter(s.labels.values()), "")): s.value for family in families for s in family.samples}
    return samples, response.text


def test_plain_and_labelled_figures_are_shown(node: FakeNode) -> None:
    samples, _ = scrape(node)
    assert samples["xiaozhi_sessions_active", ""] == 3
    assert samples["xiaozhi_hellos_total", "refused_full"] == 1
    assert samples["xiaozhi_udp_received_total", "accepted"] == 100
    assert samples["xiaozhi_mqtt_connected", ""] == 1
    assert samples["xiaozhi_broker_mosquitto_restarts_total", ""] == 2
    assert samples["xiaozhi_broker_connects_total", "accepted"] == 7


def test_lateness_is_a_cumulative_histogram_in_seconds(node: FakeNode) -> None:
    samples, _ = scrape(node)
    name = "xiaozhi_playback_late_seconds"
    assert [samples[f"{name}_bucket", le] for le in ("0.001", "0.005", "0.02", "+Inf")] == [90, 98, 99, 100]
    assert samples[f"{name}_count", ""] == 100
    assert samples[f"{name}_sum", ""] == pytest.approx(0.140)


def test_each_scrape_reads_the_figures_anew(node: FakeNode) -> None:
    client = create_web(node).test_client()
    assert "xiaozhi_sessions_active 3.0" in client.get("/metrics").text
    node.counted = Figures(sessions_active=4)
    assert "xiaozhi_sessions_active 4.0" in client.get("/metrics").text


def test_without_a_built_in_broker_nothing_is_said_of_it(node: FakeNode) -> None:
    node.counted = Figures()
    assert "xiaozhi_broker" not in scrape(node)[1]


def test_no_secret_is_shown(node: FakeNode) -> None:
    text = scrape(node)[1]
    assert KEY not in text
    assert node.secrets.mqtt_password not in text


def test_every_metric_is_in_the_document_and_every_one_there_exists(node: FakeNode) -> None:
    shown = set(re.findall(r"^# TYPE (xiaozhi_\w+)", scrape(node)[1], re.MULTILINE))
    listed = set(re.findall(r"^\| `(xiaozhi_\w+)", DOCUMENT.read_text("utf-8"), re.MULTILINE))
    assert listed == shown


def test_a_histogram_that_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="3 counts"):
        Histogram((1, 2), (0, 0), 0)
