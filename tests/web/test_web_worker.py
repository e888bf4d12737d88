"""The routes as a real gunicorn gevent worker serves them, asked over raw sockets."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client.camera import PICTURE, Camera, NoPicture
from app.client.identity import Identity
from app.protocol import tokens
from app.protocol.tokens import Purpose
from tests.waiting import eventually
from tests.web.fake_node import KEY

TOP = Path(__file__).resolve().parents[2]
DEVICE = "Device-Id: aa:bb:cc:dd:ee:ff\r\n"
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a worker that runs for the tests of this page."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "empty.py").write_text("")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        number = listener.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            str(folder / "empty.py"),
            "-k",
            "gevent",
            "--bind",
            f"fd://{listener.fileno()}",
        ]
        worker = subprocess.Popen(
            [*command, "tests.web.fake_node:wsgi()"],
            cwd=TOP,
            env={**os.environ, "FAKE_NODE_DIR": str(folder)},
            pass_fds=[listener.fileno()],
        )
    try:
        eventually(lambda: exchange(number, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[0] == 200)
        yield number
    finally:
        worker.terminate()
        assert worker.wait(10) == 0


def read_answer(file: socket.SocketIO) -> Answer:
    """One answer, its body by its Content-Length."""
    status = file.readline()
    headers: dict[str, str] = {}
    while (line := file.readline().strip()) != b"":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return int(status.split()[1]), headers, file.read(int(headers["content-length"]))


def exchange(port: int, request: bytes) -> Answer:
    """The answer to the bytes ``request`` on a connection of their own."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, connection.makefile("rb") as file:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        return read_answer(file)


def error(answer: Answer) -> str:
    return str(json.loads(answer[2])["error"])


def test_http_1_0_without_a_host_is_told_our_end_of_the_connection(port: int) -> None:
    status, headers, body = exchange(port, f"POST /xiaozhi/ota/ HTTP/1.0\r\n{DEVICE}\r\n".encode())
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["mqtt"]["endpoint"] == "127.0.0.1:2883"
    assert json.loads(body)["websocket"]["url"] == f"ws://127.0.0.1:{port}/xiaozhi/v1/"


def test_one_connection_serves_many_requests_also_after_a_refused_one(port: int) -> None:
    good = f"POST /xiaozhi/ota HTTP/1.1\r\nHost: h:1\r\n{DEVICE}Content-Length: 2\r\n\r\n{{}}".encode()
    bad = b"POST /xiaozhi/ota HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\nxxxxx"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rb") as file:
        statuses = []
        for request in (good, bad, good, bad, good):
            connection.sendall(request)
            statuses.append(read_answer(file)[0])
    assert statuses == [200, 400, 200, 400, 200]


def test_a_body_announced_too_large_is_refused(port: int) -> None:
    head = f"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: h\r\n{DEVICE}Content-Length: {1 << 20}\r\nConnection: close\r\n\r\n".encode()
    answer = exchange(port, head + b" " * (1 << 20))
    assert answer[0] == 413
    assert "64 KiB" in error(answer)


def test_a_chunked_body_is_read_and_bounded(port: int) -> None:
    head = f"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: h\r\n{DEVICE}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    info = b'{"application":{"version":"4.5.6"}}'
    status, _, body = exchange(port, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(info), info))
    assert status == 200
    assert json.loads(body)["firmware"]["version"] == "4.5.6"
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    assert exchange(port, head + chunk * 2 + b"0\r\n\r\n")[0] == 200
    assert exchange(port, head + chunk * 2 + b"1\r\n \r\n0\r\n\r\n")[0] == 413


def test_damaged_chunks_are_a_bad_request(port: int) -> None:
    head = f"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: h\r\n{DEVICE}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    answer = exchange(port, head + b"zz\r\nnonsense\r\n")
    assert answer[0] == 400
    assert "chunks" in error(answer)


def test_a_body_that_ends_early_is_a_bad_request(port: int) -> None:
    request = f"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: h\r\n{DEVICE}Content-Length: 100\r\n\r\n{{".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rb") as file:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        assert read_answer(file)[0] == 400


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\xff\x16\x03\x01 garbage\r\n\r\n",
        b"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: h\r\nDevice Id\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
    ],
)
def test_garbage_is_refused_and_others_notice_nothing(port: int, request_bytes: bytes) -> None:
    assert exchange(port, request_bytes)[0] in (400, 505)
    assert exchange(port, f"GET /xiaozhi/ota HTTP/1.1\r\nHost: h\r\n{DEVICE}\r\n".encode())[0] == 200


def test_bytes_above_ascii_in_a_header_are_a_bad_request(port: int) -> None:
    answer = exchange(port, b"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: h\r\nDevice-Id: \xff\xfe\xe9\r\n\r\n")
    assert answer[0] == 400
    assert "Device-Id" in error(answer)


def test_a_browser_is_told_that_it_works(port: int) -> None:
    status, headers, body = exchange(port, b"GET /xiaozhi/ota/ HTTP/1.1\r\nHost: 127.0.0.1:8989\r\nAccept: text/html\r\n\r\n")
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert b"http://127.0.0.1:8989/xiaozhi/ota/" in body


def test_many_requests_in_one_go_hold_nobody_up(port: int) -> None:
    ask, number, answers = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 4000, bytearray()
    greedy, modest = (socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(2))

    def read_all() -> None:
        with contextlib.suppress(OSError):
            while piece := greedy.recv(1 << 16):
                answers.extend(piece)

    reader = threading.Thread(target=read_all)
    reader.start()
    with greedy, modest, modest.makefile("rb") as file:
        greedy.sendall(ask * number)
        eventually(lambda: answers)
        modest.sendall(ask)
        assert read_answer(file)[0] == 200
        before = answers.count(b"HTTP/1.1 200")
        greedy.shutdown(socket.SHUT_RDWR)
        reader.join()
    assert before < number / 2


@pytest.mark.parametrize("length", [b"Content-Length: 300000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n"])
def test_a_body_that_no_route_wants_is_not_taken_to_its_end(port: int, length: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection, connection.makefile("rb") as file:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n" + length)
        assert read_answer(file)[0] == 200
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall(bytes(250 << 20))


def test_who_sends_more_than_is_wanted_hears_why_it_is_refused(port: int) -> None:
    head = f"PUT /api/v1/firmware/bread HTTP/1.1\r\nHost: h\r\nContent-Length: {8 << 20}\r\n\r\n".encode()
    answer = exchange(port, head + bytes(8 << 20))
    assert answer[0] == 401
    assert "log in" in error(answer)


def test_a_small_body_that_no_route_wants_leaves_the_connection_as_it_was(port: int) -> None:
    ask = b"GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + bytes(1000)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection, connection.makefile("rb") as file:
        for _ in range(3):
            connection.sendall(ask)
            assert read_answer(file)[0] == 200


def test_metrics_and_readiness_are_served(port: int) -> None:
    assert exchange(port, b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n")[0] == 200
    assert b"xiaozhi_sessions_active" in exchange(port, b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")[2]


def test_a_camera_sends_its_picture_in_chunks_and_hears_what_is_in_it(port: int) -> None:
    camera = Camera(Identity.fresh(), f"http://127.0.0.1:{port}/xiaozhi/vision")
    camera.token = tokens.issue(KEY, camera.identity.mac, int(time.time()) + 60, Purpose.VISION)
    answer = json.loads(camera.explain("was ist das? 这是什么?"))
    assert answer == {"success": True, "response": f"{len(PICTURE)} bytes: was ist das? 这是什么?"}
    camera.picture = PICTURE + bytes(3 << 20)
    with pytest.raises(NoPicture):
        camera.explain("too large")
