"""Sending to a peer that does not read."""

from __future__ import annotations

import socket

import pytest

from app.broker import outlet
from app.broker.outlet import Outlet, say_goodbye


def test_a_peer_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "SEND_SECONDS", 0.1)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        Outlet(ours).send(bytes(10_000_000))


def test_last_words_arrive_although_the_peer_is_still_sending() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as theirs:
        ours, _ = server.accept()
        theirs.sendall(bytes(100_000))
        theirs.shutdown(socket.SHUT_WR)
        say_goodbye(ours, b"bye", linger=True)
        assert theirs.recv(10) == b"bye"
        assert theirs.recv(10) == b""


def test_a_goodbye_to_a_peer_that_is_gone_does_not_raise() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    say_goodbye(ours, b"bye", linger=True)
    assert ours.fileno() == -1
