"""The log: as text and as JSON, under greenlets and threads at once."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.logs import LONGEST_MESSAGE, LONGEST_TRACEBACK, JsonFormatter, TextFormatter, about
from tests.system.devices import SHORT, one_device
from tests.system.running_server import TOP, RunningServer

SCRIPT = """
from gevent import monkey
monkey.patch_all()
import gevent, logging
from gevent.threadpool import ThreadPool
from app import logs
from app.sections import Log
logs.set_up(Log())
log = logging.getLogger("both")
def write(who):
    for number in range(3000):
        log.info("%s %d", who, number)
def take_turns(who):
    for number in range(3000):
        log.info("%s %d", who, number)
        gevent.sleep(0)
pool = ThreadPool(2)
work = [pool.spawn(write, "thread"), pool.spawn(write, "other thread")]
greenlets = [gevent.spawn(take_turns, f"greenlet {n}") for n in range(3)]
gevent.joinall(greenlets)
for one in work:
    one.get()
print("done")
"""


def test_greenlets_and_threads_log_at_once_and_none_is_left_waiting() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "done\n"
    assert len(done.stderr.splitlines()) == 15_000


def record(message: str, *arguments: object, extra: Any = None, fault: BaseException | None = None) -> logging.LogRecord:
    exc_info = None if fault is None else (type(fault), fault, fault.__traceback__)
    return logging.getLogger("app.somebody").makeRecord(
        "app.somebody", logging.WARNING, "file.py", 7, message, arguments, exc_info, extra=extra
    )


def as_json(*arguments: object, **more: Any) -> dict[str, Any]:
    line = JsonFormatter().format(record(*arguments, **more))  # type: ignore[arg-type]
    assert line.isascii()
    assert line.isprintable()
    document = json.loads(line)
    assert isinstance(document, dict)
    return document


def raised() -> ValueError:
    try:
        raise ValueError("the reason")
    except ValueError as fault:
        return fault


def test_a_line_of_json_has_time_level_logger_and_message() -> None:
    line = as_json("%d of %s", 3, "them")
    assert line.keys() == {"time", "level", "logger", "message"}
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "app.somebody", "3 of them")
    assert line["time"].endswith("Z")
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
    assert len(line["time"]) == len("2026-07-21T09:30:05.123Z")


def test_whom_a_line_is_about_stands_in_fields_of_its_own() -> None:
    line = as_json("%s: hello", "aa:bb:cc:dd:ee:ff", extra=about("aa:bb:cc:dd:ee:ff", "s1"))
    assert (line["device"], line["session"]) == ("aa:bb:cc:dd:ee:ff", "s1")
    assert "session" not in as_json("%s: hello", "aa", extra=about("aa"))


def test_the_text_is_the_same_with_and_without_these_fields() -> None:
    formatter = TextFormatter()
    plain, told = record("%s: hello", "aa"), record("%s: hello", "aa", extra=about("aa", "s1"))
    told.created, told.msecs = plain.created, plain.msecs
    assert formatter.format(told) == formatter.format(plain)
    assert formatter.format(plain).endswith(" WARNING app.somebody: aa: hello")


def test_a_traceback_is_a_field_of_its_line() -> None:
    line = as_json("it failed", fault=raised())
    assert line["message"] == "it failed"
    assert line["exception"].startswith("Traceback (most recent call last)")
    assert line["exception"].endswith("ValueError: the reason")


@pytest.mark.parametrize("sent", ["a\nb", "a\r\nb", "a\u2028b", "a\x85b", '"}\n{"level": "x', "a\x1b[2Jb", "\ud800", "\x00"])
def test_no_value_can_end_its_line(sent: str) -> None:
    assert as_json("it sent %s", sent)["message"] == f"it sent {sent}"
    assert len(TextFormatter().format(record("it sent %s", sent)).splitlines()) == 1


def test_values_are_bounded() -> None:
    fault = ValueError("x" * 100_000)
    line = as_json("x" * 100_000, extra=about("x" * 1000, "x" * 1000), fault=fault)
    assert len(line["message"]) == LONGEST_MESSAGE
    assert len(line["exception"]) == LONGEST_TRACEBACK
    assert len(line["device"]) == len(line["session"]) == 120


def log_calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("log.", "patient_log.")):
            yield node


def names_a_device(call: ast.Call) -> bool:
    if ast.unparse(call.args[0]).startswith("'operator"):  # a client id too, and no device's
        return False
    names = {getattr(node, "id", None) or getattr(node, "attr", None) for given in call.args for node in ast.walk(given)}
    return bool(names & {"device_id", "_device_id", "client_id", "_client_id"})


def test_every_line_that_names_a_device_has_it_in_a_field() -> None:
    calls = [(path, call) for path in sorted((TOP / "app").rglob("*.py")) for call in log_calls(path)]
    about_devices = [(path, call) for path, call in calls if names_a_device(call)]
    without = [f"{path}:{call.lineno}" for path, call in about_devices if "extra" not in {word.arg for word in call.keywords}]
    assert without == []
    assert len(about_devices) > 20


EARLY = """
import logging, sys
from app import logs
from app.sections import Log
logs.hold()
logging.getLogger("early").warning("before the format is known")
if sys.argv[1] != "never":
    logs.set_up(Log(format=sys.argv[1]))
    logging.getLogger("late").warning("after")
"""


@pytest.mark.parametrize("format_", ["text", "json", "never"])
def test_what_is_said_before_the_format_is_known_comes_in_that_format(format_: str) -> None:
    done = subprocess.run([sys.executable, "-c", EARLY, format_], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stderr.splitlines()
    assert "before the format is known" in lines[0]
    assert lines[0].startswith("{") == (format_ == "json")
    assert len(lines) == (1 if format_ == "never" else 2)


UNCAUGHT = """
from gevent import monkey
monkey.patch_all()
import gevent, threading, warnings
from gevent.threadpool import ThreadPool
from app import logs
from app.sections import Log
logs.set_up(Log(format="json"))
def fail(where):
    raise ValueError(f"in a {where}")
gevent.spawn(fail, "greenlet").join()  # the word is an argument, as a password may be
thread = threading.Thread(target=fail, args=("thread",))
thread.start()
thread.join()
warnings.warn("a warning")
fail("module")
"""


def test_what_nobody_caught_is_json_as_well() -> None:
    done = subprocess.run([sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, timeout=60, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    reasons = [line["exception"].splitlines()[-1] for line in lines if "exception" in line]
    assert reasons == ["ValueError: in a greenlet", "ValueError: in a thread", "ValueError: in a module"]
    assert lines[0]["message"] == "a Greenlet failed: ValueError"
    assert any("a warning" in line["message"] for line in lines)
    assert done.returncode == 1


def test_each_line_of_a_servers_log_is_json_and_names_the_device_and_session_it_is_about(tmp_path: Path) -> None:
    config = {"dialogue": {"agent": "echo"}, "log": {"format": "json"}, "xyz": {}}
    with RunningServer(tmp_path, config=config) as server, one_device(server) as device:
        device.hello()
        mac, session_id = device.identity.mac, device.session_id
        device.speak(SHORT)
        device.shutdown()
        server.stop()
        lines = [json.loads(line) for line in server.log().splitlines()]
    by_logger = {line["logger"] for line in lines}
    assert {"gunicorn.error", "mosquitto", "app.broker.process", "app.broker.link", "app.session.registry"} <= by_logger
    assert any("knows no setting xyz" in line["message"] for line in lines)
    of_session = [line["message"] for line in lines if line.get("session") == session_id]
    assert any("opened" in message for message in of_session)
    assert any("ended after" in message for message in of_session)
    assert {line["device"] for line in lines if session_id in line["message"]} == {mac}
    assert {line["device"] for line in lines if line["logger"] == "app.broker.link"} == {mac}
