"""What one connection may take of the server; tests/web/test_web_worker.py has the rest, on a real one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import gevent
import pytest
from flask import Flask

from app.web import connection, errors
from app.web.connection import MAX_HEADERS
from tests.waiting import eventually

STALL_SECONDS = 0.05


@pytest.fixture
def app() -> Flask:
    made = Flask(__name__)
    connection.install(made, STALL_SECONDS)
    errors.install(made)
    made.add_url_rule("/", "page", lambda: "a page")
    return made


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a connection, and the client's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        yield ours, theirs


def has_ended(client: socket.socket) -> bool:
    gevent.sleep(0.001)  # the server's turn
    try:
        return not client.recv(1)
    except BlockingIOError:
        return False


def test_headers_beyond_16_kib_are_refused_with_a_sentence(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/", headers={"Accept": "b" * (MAX_HEADERS - 1000)}).status_code == 200
    refusal = client.get("/", headers={"Accept": "b" * MAX_HEADERS})
    assert refusal.status_code == 431
    assert "16 KiB" in refusal.json["error"]


def test_who_does_not_take_his_answer_is_hung_up_on(app: Flask, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    response = app.test_client().get("/", environ_overrides={"gunicorn.socket": ours}, buffered=False)
    eventually(lambda: has_ended(theirs))
    response.close()


def test_who_took_his_answer_keeps_his_connection(app: Flask, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    app.test_client().get("/", environ_overrides={"gunicorn.socket": ours}).close()
    gevent.sleep(2 * STALL_SECONDS)
    assert not has_ended(theirs)
