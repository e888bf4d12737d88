"""An answer on its way to the client: with the delays and the fault of its route."""

from __future__ import annotations

import json
import time

from tests.openai_server.answer import Answer
from tests.openai_server.behaviour import STATUSES, Behaviour
from tests.openai_server.record import Record
from tests.openai_server.wire import Connection

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
GARBAGE = b"<html>\x00\xff data: {'choi\n\n OggS?" * 20


class Broken(Exception):
    """The connection cannot be used any more; ``abruptly``: it ends with a reset."""

    def __init__(self, abruptly: bool = False) -> None:
        super().__init__()
        self.abruptly = abruptly


def refuse(connection: Connection, record: Record, status: int, sentence: str) -> None:
    """An error as OpenAI words it."""
    error = {"message": sentence, "type": "invalid_request_error", "param": None, "code": None}
    text = json.dumps({"error": error}).encode()
    _send_head(connection, record, status, "application/json", len(text))
    connection.send(text)
    record.finished_at = time.monotonic()


def deliver(connection: Connection, record: Record, answer: Answer, behaviour: Behaviour) -> None:
    """Sends it. Raises Broken when the connection is to be closed now, and ClientGone."""
    fault = record.fault
    connection.pause(behaviour.before_head)
    if fault == "hang":
        connection.pause(None)
    if fault == "drop":
        raise Broken(abruptly=True)
    if fault in STATUSES:
        refuse(connection, record, int(fault), STATUSES[fault])
        return
    pieces = [GARBAGE] if fault == "garbage" else [] if fault == "empty" else list(answer.pieces)
    chunked = answer.streamed
    _send_head(connection, record, 200, answer.content_type, None if chunked else sum(map(len, pieces)))
    connection.pause(behaviour.before_body)
    if fault in ("hang in body", "cut"):
        half = (len(pieces) + 1) // 2
        pieces = pieces[:half] if half < len(pieces) else [pieces[0][: len(pieces[0]) // 2]]
    for index, piece in enumerate(pieces):
        if index and chunked:
            connection.pause(behaviour.between_chunks)
        now = time.monotonic()
        connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked and piece else piece)
        if record.body_at is None and index >= answer.first:
            record.body_at = now
    if fault == "hang in body":
        connection.pause(None)
    if fault == "cut":
        raise Broken
    if chunked:
        connection.send(b"0\r\n\r\n")
    record.finished_at = time.monotonic()


def _send_head(connection: Connection, record: Record, status: int, content_type: str, length: int | None) -> None:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\nContent-Type: {content_type}\r\n{size}\r\n\r\n"
    record.status = status
    connection.send(head.encode())
    record.head_at = time.monotonic()
