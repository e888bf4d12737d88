"""What deploy/ and docs/ say of metrics and of the log is what the server really gives."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.system.running_server import TOP, RunningServer, wait_for

WATCHING = (TOP / "docs" / "watching.md").read_text("utf-8")
METRICS = (TOP / "docs" / "metrics.md").read_text("utf-8")
DASHBOARD: dict[str, Any] = json.loads((TOP / "deploy" / "grafana.json").read_text("utf-8"))
ALERTS: dict[str, Any] = yaml.safe_load((TOP / "deploy" / "alerts.yml").read_text("utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
DRAWN = [panel for panel in PANELS if panel["type"] != "row"]
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
ROWS = ("Now", "No sound", "Stutter", "Cut-off ends", "Slow answers", "Devices cannot connect", "Server health")

OF_PROMETHEUS = {"instance", "job"}
"""Labels that every sample has there; and ``up`` is a metric of its own."""
FUNCTIONS = {"rate", "increase", "changes", "histogram_quantile", "sum", "min", "max"}
KEYWORDS = {"by", "without", "ignoring", "on", "and", "or", "unless"}

Samples = Mapping[str, Mapping[str, set[str]]]
"""By the name of a sample: its labels, with every value that occurs."""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """What a server shows that has just started: counters are there from the beginning, with every label that they may get."""
    with RunningServer(tmp_path_factory.mktemp("watching")) as server:
        wait_for(lambda: "broker_connections" in server.metrics(), what="the broker has told its figures")
        text = server.get("/metrics")[1].decode()
    found: dict[str, dict[str, set[str]]] = {"up": {}}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Where each stands, and what it says; Grafana's variables have a value."""
    for panel in DRAWN:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for block in re.findall(r"```promql\n(.*?)```", METRICS, re.DOTALL):
        for number, line in enumerate(re.split(r"\n(?=\S)", block.strip())):
            yield f"docs/metrics.md {number}", line


# PromQL, as far as it is used here


def faults_of(expression: str, given: Samples) -> list[str]:
    """What is wrong with it: brackets, functions, metrics, labels and their values."""
    faults = [] if balanced(expression) else ["its brackets do not fit together"]
    rest = re.sub(r"\[\d+[smhd]\]", "", expression)
    known = set(OF_PROMETHEUS)
    for name, matchers in re.findall(r"([a-zA-Z_:][\w:]*)(\{[^}]*\})", rest) + [(name, "") for name in bare_names(rest)]:
        if name not in given:
            faults.append(f"there is no metric {name}")
            continue
        known |= set(given[name])
        faults.extend(faults_of_matchers(name, matchers, given[name]))
    for clause in re.findall(r"\b(?:by|without|ignoring|on)\s*\(([^)]*)\)", rest):
        faults.extend(f"no metric in it has the label {label}" for label in re.findall(r"\w+", clause) if label not in known)
    return faults


def balanced(expression: str) -> bool:
    opened: list[str] = []
    for character in re.sub(r'"[^"]*"', "", expression):
        if character in "([{":
            opened.append({"(": ")", "[": "]", "{": "}"}[character])
        elif character in ")]}" and (not opened or opened.pop() != character):
            return False
    return not opened


def bare_names(expression: str) -> list[str]:
    """Metrics without braces: words that are neither a label, nor a keyword, nor a function that is called."""
    rest = re.sub(r"[a-zA-Z_:][\w:]*\{[^}]*\}", " ", expression)
    rest = re.sub(r"\b(?:by|without|ignoring|on)\s*\([^)]*\)", " ", rest)
    called = set(re.findall(r"([a-zA-Z_]\w*)\s*\(", rest))
    assert called <= FUNCTIONS | KEYWORDS, called - FUNCTIONS
    return [word for word in re.findall(r"[a-zA-Z_:][\w:]*", rest) if word not in called | KEYWORDS]


def faults_of_matchers(name: str, matchers: str, labels: Mapping[str, set[str]]) -> list[str]:
    faults = []
    for label, operator, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
        if label in OF_PROMETHEUS:
            continue
        wanted = value.split("|") if operator.endswith("~") else [value]
        unknown = [one for one in wanted if one not in labels.get(label, set())]
        faults.extend(f"{name} never has {label}={one}" for one in unknown)
    return faults


@pytest.mark.parametrize(("where", "expression"), [pytest.param(*one, id=one[0]) for one in expressions()])
def test_an_expression_uses_metrics_and_labels_that_exist(where: str, expression: str, given: Samples) -> None:
    assert faults_of(expression, given) == [], where


@pytest.mark.parametrize(
    "expression",
    [
        "rate(xiaozhi_replies_total[5m]",
        "rate(xiaozhi_replies[5m])",
        'xiaozhi_hellos_total{result="acepted"}',
        'xiaozhi_hellos_total{verdict="accepted"}',
        "sum by (verdict) (rate(xiaozhi_hellos_total[5m]))",
    ],
)
def test_this_check_finds_what_is_wrong(expression: str, given: Samples) -> None:
    assert faults_of(expression, given) != []


# The dashboard


def test_there_is_a_row_for_each_complaint() -> None:
    assert tuple(panel["title"] for panel in PANELS if panel["type"] == "row") == ROWS


def test_no_two_panels_have_an_id_or_a_place_in_common() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", DRAWN, ids=[panel["title"] for panel in DRAWN])
def test_a_panel_has_a_title_a_unit_a_word_of_explanation_and_the_chosen_data_source(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [chosen] * (len(panel["targets"]) + 1)
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_data_source_and_server_can_be_chosen(given: Samples) -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    asked = re.fullmatch(r"label_values\((\w+), instance\)", variables["instance"]["query"]["query"])
    assert asked is not None
    assert asked[1] in given


# Prometheus


def test_the_scrape_configuration_is_for_this_server_with_and_without_a_token() -> None:
    text = (TOP / "deploy" / "prometheus.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["scrape_configs"]
    assert [(job["job_name"], job["static_configs"]) for job in jobs] == [("xiaozhi", [{"targets": ["127.0.0.1:8989"]}])]
    lines = text[text.index("  # - job_name") :].splitlines()
    (remote,) = yaml.safe_load("\n".join(line.replace("# ", "", 1) for line in lines))
    assert remote["authorization"] == {"credentials_file": "/etc/prometheus/xiaozhi.token"}
    assert yaml.safe_load(text)["rule_files"] == ["alerts.yml"]


def test_each_alert_says_what_is_the_matter_and_what_to_look_at() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}


# The document


def test_every_metric_that_is_named_exists_and_is_explained(given: Samples) -> None:
    texts = [WATCHING, json.dumps(DASHBOARD), json.dumps(ALERTS)]
    named = {name for text in texts for name in re.findall(r"\b(?:xiaozhi|process)_[a-z_]+[a-z]\b", text)}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in given} | set(given)
    explained = set(re.findall(r"xiaozhi_\w+", METRICS))
    assert {name for name in named if name not in shown} == set()
    plain = {re.sub(r"_(bucket|sum|count)$", "", name) for name in named if name.startswith("xiaozhi_")}
    assert plain - explained == set()


def test_every_label_in_the_document_exists(given: Samples) -> None:
    written = re.findall(r"`(xiaozhi_\w+)(\{[^}]*\})`", WATCHING)
    assert len(written) > 5
    assert [fault for name, matchers in written for fault in faults_of_matchers(name, matchers, given[name])] == []


def test_every_line_of_the_log_in_the_document_is_one_that_the_server_writes() -> None:
    quoted = [one for one in re.findall(r"`([^`\n]+)`", WATCHING) if re.fullmatch(r"[a-z][a-zA-Z' ,;]* [a-zA-Z' ,;.:]+", one)]
    commands = ("python", "promtool", "journalctl")
    lines = [one for one in quoted if not one.startswith(commands)]
    assert len(lines) > 8
    written = "\n".join(constant for path in (TOP / "app").rglob("*.py") for constant in constants_of(path))
    assert [line for line in lines if line not in written] == []


def constants_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_links_in_the_table_lead_to_its_sections() -> None:
    headings = {
        re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^## (.*)$", WATCHING, re.MULTILINE)
    }
    linked = set(re.findall(r"\(#([a-z-]+)\)", WATCHING))
    assert len(linked) == 7
    assert linked <= headings
