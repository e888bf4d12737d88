"""Event streams: how they begin, what they cost, and how they end."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest
from flask import Flask

from app.protocol.messages import Stt
from app.web import streams
from app.web.api_events import MAX_DEVICES, DeviceLook, ListLook
from app.web.census import Counting
from app.web.errors import TryLater
from app.web.streams import Event, Streams
from tests.session.reachable_house import MAC, OTHER
from tests.session.recording_channel import FakeClock
from tests.system.running_server import RunningServer
from tests.waiting import eventually
from tests.web.fake_node import FakeNode, make_node
from tests.web.openapi_document import document, misfits

FOREVER = 3600.0
QUICK = 0.001


def always() -> bool:
    return True


def nothing() -> tuple[Event, ...]:
    return ()


@pytest.fixture(autouse=True)
def in_a_request() -> Iterator[None]:
    with Flask(__name__).test_request_context():
        yield


def read(made: Streams, look: Callable[[], Any], may_stay: Callable[[], bool] = always) -> Iterator[str]:
    """What a new stream says, chunk by chunk."""
    return iter(made.follow(look, may_stay).response)  # type: ignore[arg-type]


def events(chunk: str) -> list[tuple[str, Any]]:
    """Name and data of each event in a piece of a stream."""
    found = []
    for block in chunk.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_all_that_is_found_at_once_is_said_at_once() -> None:
    chunks = read(Streams(pause_seconds=QUICK), lambda: [Event("one", {"text": "a\nb"}), Event("two", [])])
    first = next(chunks)
    assert first.startswith("retry: 3000\n\n")
    assert events(first) == [("one", {"text": "a\nb"}), ("two", [])]


def test_while_nothing_changes_only_the_heartbeat_is_heard() -> None:
    clock = FakeClock()
    looks = 0

    def look() -> tuple[Event, ...]:
        nonlocal looks
        looks += 1
        clock.now += 1
        return ()

    chunks = read(Streams(pause_seconds=QUICK, clock=clock), look)
    next(chunks)
    assert next(chunks) == ": still here\n\n"
    assert looks == streams.HEARTBEAT_SECONDS + 1


def test_one_stream_too_many_is_refused_with_a_sentence_until_another_ends() -> None:
    made = Streams(most=1)
    first = made.follow(nothing, always)
    with pytest.raises(TryLater, match="close one of them"):
        made.follow(nothing, always)
    first.close()
    assert len(made) == 0
    made.follow(nothing, always).close()


def test_closing_ends_those_that_are_open_and_refuses_others() -> None:
    made = Streams(pause_seconds=FOREVER)
    chunks = read(made, nothing)
    next(chunks)
    closing = gevent.spawn(made.close)
    assert list(chunks) == []
    closing.join()
    with pytest.raises(TryLater, match="about to stop"):
        made.follow(nothing, always)


def test_who_may_no_longer_be_here_hears_no_more() -> None:
    clock = FakeClock()
    allowed = True

    def look() -> tuple[Event, ...]:
        clock.now += 1
        return (Event("tick", clock.now),)

    chunks = read(Streams(pause_seconds=QUICK, clock=clock), look, lambda: allowed)
    for _ in range(20):
        next(chunks)
    allowed = False
    assert len(list(chunks)) <= streams.ALLOWED_SECONDS


def follow_over(connection: Any, made: Streams, look: Callable[[], Any]) -> gevent.Greenlet:
    """Says a stream on ``connection``, as gunicorn does; its value is what ended the writing, None for the stream's own end."""
    with Flask(__name__).test_request_context(environ_overrides={"gunicorn.socket": connection}):
        response = made.follow(look, always)

    def write() -> OSError | None:
        try:
            for chunk in response.response:
                connection.sendall(chunk.encode())
        except OSError as error:
            return error
        finally:
            response.close()
        return None

    return gevent.spawn(write)


def test_a_reader_that_does_not_read_is_hung_up() -> None:
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs:
        made = Streams(pause_seconds=QUICK, stalled_seconds=0.05)
        writing = follow_over(ours, made, lambda: [Event("much", "x" * 1_000_000)])
        writing.join(20)
        assert isinstance(writing.value, BrokenPipeError)
        assert len(made) == 0


def test_a_reader_that_has_gone_is_noticed_although_nothing_is_said() -> None:
    ours, theirs = gevent.socket.socketpair()
    with ours:
        made = Streams(pause_seconds=QUICK)
        writing = follow_over(ours, made, nothing)
        assert theirs.recv(100).startswith(b"retry")
        theirs.close()
        writing.join(20)
        assert (writing.ready(), writing.value, len(made)) == (True, None, 0)


# What is said of devices


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    made = make_node(tmp_path)
    made.house.status()
    return made


def said(look: Callable[[], Any]) -> dict[str, Any]:
    """The events of one look by name; each fits its description."""
    found = {event.name: event.data for event in look()}
    kinds = {
        name: schema["$ref"].rpartition("/")[2]
        for item in document()["paths"].values()
        for content in item.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).values()
        for name, schema in content.get("x-events", {}).items()
    }
    for name, data in found.items():
        assert misfits(data, document()["components"]["schemas"][kinds[name]]) == [], name
    return found


def list_look(node: FakeNode, *device_ids: str) -> ListLook:
    return ListLook(node, Counting(node, node.house.clock), device_ids, node.house.clock)


def test_a_list_begins_with_everything_and_goes_on_with_what_changes(node: FakeNode) -> None:
    look = list_look(node, MAC, OTHER)
    first = said(look)
    assert [row["id"] for row in first["rows"]["rows"]] == [MAC, OTHER]
    assert first["figures"]["remembered"] is None  # the database was never opened
    assert said(look) == {}
    node.house.lifecycle("online")
    (row,) = said(look)["rows"]["rows"]
    assert (row["id"], row["state"], row["transport"], row["is_here"]) == (MAC, "connected", "mqtt", True)
    assert said(look) == {}


def test_a_sample_is_sent_once(node: FakeNode) -> None:
    node.house.vitals.start()
    look = list_look(node, MAC)
    session = node.house.hello()
    node.house.hears(session, 5)
    node.house.sample(3)
    (row,) = said(look)["rows"]["rows"]
    assert (row["whole"], len(row["samples"])) == (True, 3)
    node.house.sample()
    (row,) = said(look)["rows"]["rows"]
    assert (row["whole"], len(row["samples"])) == (False, 1)
    assert "rows" not in said(look)


def test_a_leg_that_gets_stuck_with_time_is_noticed_in_a_list(node: FakeNode) -> None:
    look = list_look(node, MAC)
    said(look)
    node.house.trails.asked_ota(MAC, endpoint="192.168.1.5:2883")
    node.house.pass_time(60)
    assert said(look)["rows"]["rows"][0]["state"] == "stuck"


def test_a_devices_stream_tells_its_way_in_its_session_and_what_is_said(node: FakeNode) -> None:
    look = DeviceLook(node, MAC)
    first = said(look)
    assert [step["leg"] for step in first["way_in"]["steps"]] == ["ota", "control", "hello", "audio_up", "audio_down"]
    assert (first["session"]["session"], first["vitals"]["samples"], first["lines"]["lines"]) == (None, [], [])
    assert said(look) == {}
    session = node.house.hello()
    assert said(look)["session"]["session"]["id"] == session.id
    session.tell(Stt(session_id=session.id, text="turn on the light"))
    assert [(line["kind"], line["text"]) for line in said(look)["lines"]["lines"]] == [("heard", "turn on the light")]
    assert "lines" not in said(look)


# On a real server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("streams"))
    try:
        yield running.start()
    finally:
        running.clear()


def open_stream(server: RunningServer, path: str) -> http.client.HTTPResponse:
    token = json.loads((server.state_dir / "secrets.json").read_text())["api_token"]
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    return connection.getresponse()


def first_event(stream: http.client.HTTPResponse) -> str:
    while not (line := stream.readline()).startswith(b"event: "):
        assert line, "the stream has ended"
    return line.decode().strip()


def test_a_server_serves_streams_to_those_who_may_ask(server: RunningServer) -> None:
    assert server.get("/api/v1/events")[0] == 401
    with open_stream(server, f"/api/v1/devices/{MAC}/events") as stream:
        assert stream.getheader("Content-Type", "").startswith("text/event-stream")
        assert first_event(stream) == "event: way_in"
    assert open_stream(server, f"/api/v1/events?devices={','.join([MAC] * (MAX_DEVICES + 1))}").status == 400
    assert open_stream(server, "/api/v1/devices/kitchen/events").status == 400


def test_a_page_that_is_left_makes_room(server: RunningServer) -> None:
    open_ones = [open_stream(server, "/api/v1/events") for _ in range(streams.MOST)]
    refused = open_stream(server, "/api/v1/events")
    assert (refused.status, refused.getheader("Retry-After")) == (503, "30")
    for stream in open_ones:
        stream.close()

    eventually(lambda: open_stream(server, "/api/v1/events").status == 200, 20)


def test_sigterm_ends_the_streams_and_is_not_held_up_by_them(server: RunningServer) -> None:
    stream = eventually(lambda: next((one for one in [open_stream(server, "/api/v1/events")] if one.status == 200), None), 20)
    assert first_event(stream) == "event: figures"
    assert server.stop() == 0
    stream.read()  # to its proper end, or this raises
    assert "graceful timeout" not in server.log()
    with pytest.raises(OSError):  # noqa: PT011 - whatever the system calls it
        socket.create_connection(("127.0.0.1", server.http_port)).close()
