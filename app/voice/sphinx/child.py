"""A recognizing process as the server sees it: started when it is needed, asked over a socket, killed when it hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Any

import gevent
import gevent.socket
from gevent.socket import wait_read  # type: ignore[attr-defined]

from app.settings import TOP
from app.voice.sphinx.complaints import log_complaints
from app.voice.sphinx.job import HEAD, frame_of

MODULE = "app.voice.sphinx.process"
ENVIRONMENT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
"""What it gets to know of our environment: no key of ours."""
END_SECONDS = 2.0
READ_BYTES = 65_536


class Child:
    """One process; one greenlet uses it at a time."""

    def __init__(self) -> None:
        self._process: int | None = None  # its pid's file descriptor
        self._socket: Any = None
        self._complaining: gevent.Greenlet | None = None
        self._received = bytearray()
        self._number = 0

    def start(self) -> None:
        """Starts the process if there is none; it loads its models meanwhile. Raises OSError."""
        if self._process is not None:
            return
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
            talk, its_talk = _socket_pair(ours, its)
            complaints, its_complaints = _socket_pair(ours, its)
            self._process = os.pidfd_open(_spawn(its_talk, its_complaints))
            ours.pop_all()
        self._socket = talk
        self._complaining = gevent.spawn(log_complaints, complaints)
        self._received.clear()

    def recognize(self, body: bytes) -> str:
        """The words of an utterance (job.py). Raises OSError when the process cannot be started or dies.

        A greenlet that is killed in the midst of sending leaves half a request behind, so the process is ended; one that is
        killed while it waits leaves its answer, which the next request passes over by its number.
        """
        self.start()
        self._number = self._number % 0xFFFFFFFF + 1
        is_sent = False
        try:
            self._socket.sendall(frame_of(self._number, body))
            is_sent = True
            return self._answer()
        except OSError:
            is_sent = False
            raise
        finally:
            if not is_sent:
                self.stop()

    def stop(self) -> None:
        """Kills the process; twice is fine."""
        process, self._process = self._process, None
        sock, self._socket = self._socket, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
            gevent.spawn(_reap, process)
        if sock is not None:  # not before: it would complain that nobody reads its answer
            sock.close()

    def _answer(self) -> str:
        received = self._received
        while True:
            while len(received) < HEAD.size or len(received) < HEAD.size + HEAD.unpack_from(received)[1]:
                data = self._socket.recv(READ_BYTES)
                if not data:
                    raise ConnectionError("the recognizing process has died")
                received += data
            number, length = HEAD.unpack_from(received)
            body = bytes(received[HEAD.size : HEAD.size + length])
            del received[: HEAD.size + length]
            if number == self._number:
                return body.decode()


def _socket_pair(ours: contextlib.ExitStack, its: contextlib.ExitStack) -> tuple[Any, int]:
    """Our end, and the descriptor of the process's, each closed with its stack."""
    our_end, its_end = gevent.socket.socketpair()  # type: ignore[attr-defined]
    ours.callback(our_end.close)
    its.callback(its_end.close)
    os.set_blocking(its_end.fileno(), True)  # gevent's are not, and its process shares that
    return our_end, its_end.fileno()


def _spawn(talk: int, complaints: int) -> int:
    """Starts the process with nothing of ours but these two sockets; a fork would hold the hub for many ms."""
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(TOP), os.environ.get("PYTHONPATH"))))
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", MODULE, str(os.getpid())],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, talk, 0),
            (os.POSIX_SPAWN_DUP2, talk, 1),
            (os.POSIX_SPAWN_DUP2, complaints, 2),
            *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD],
    )


def _inheritable() -> list[int]:
    """What a child would inherit besides its standard files: gunicorn's listening sockets."""
    return [number for number in map(int, os.listdir("/proc/self/fd")) if number > 2 and _is_inheritable(number)]


def _is_inheritable(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:  # the one by which the list was read
        return False


def _reap(process: int) -> None:
    try:
        wait_read(process, END_SECONDS, TimeoutError())
        os.waitid(os.P_PIDFD, process, os.WEXITED | os.WNOHANG)
    except (TimeoutError, ChildProcessError):  # somebody else has reaped it
        pass
    finally:
        os.close(process)
