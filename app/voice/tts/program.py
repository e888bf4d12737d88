"""A program that speaks: a child process with the text on its stdin, its stdout read as it comes.

It is started with ``posix_spawn``: a fork of this process would hold the hub for many ms, one for each page table. It inherits
nothing but its three descriptors, and of the environment what `ENVIRONMENT` names: no key of ours. It is watched by its pid's
file descriptor, so nobody's SIGCHLD handler is needed, and one that reaps every child does no harm.

Its output is read whether or not somebody takes it: a reply that waits to be played holds no process.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import gevent
from gevent.lock import BoundedSemaphore
from gevent.queue import SimpleQueue
from gevent.socket import wait_read  # type: ignore[attr-defined]

from app.turn import give_way
from app.voice.provider import ProviderFault

ENVIRONMENT = ("PATH", "HOME", "LANG")
READ_BYTES = 65_536
LAST_SECONDS = 2.0
"""How long a program may take to exit after its output has ended."""
STDERR_BYTES = 4096
LINE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. ``place``: the settings it stands in, for the sentences; ``path``: the executable; ``argv`` with its name.

    ``silence_seconds``: how long it may write nothing; ``most_bytes``: how much it may write in all.
    """

    place: str
    path: Path
    argv: Sequence[str]
    silence_seconds: float
    most_bytes: int


class Programs:
    """Runs at most ``most_at_once`` programs at a time; whoever wants another waits, each conversation with one or two."""

    def __init__(self, most_at_once: int) -> None:
        self._slots = BoundedSemaphore(most_at_once)

    def output(self, program: Program, text: str) -> Iterator[bytes]:
        """What ``program`` writes, as it comes, ``text`` being all of its input.

        Killing the greenlet or closing the iterator kills the program and what it has started. Raises ProviderFault when it
        cannot be started, is silent too long, writes too much, or ends with a status other than 0.
        """
        if not self._slots.acquire(timeout=program.silence_seconds):
            raise ProviderFault(
                f"{program.place}: too many programs speak at the same time: wait, or let a faster machine do it."
            )
        run = _Run(program, text)
        run.keeper.rawlink(lambda _: self._slots.release())
        run.keeper.start()
        try:
            yield from run.pieces()
        finally:
            run.give_up()


programs = Programs(2 * (os.cpu_count() or 1))
"""Those of this process: the bound is the machine's."""


class _Run:
    """One process from its start to its end. The keeper tidies everything up, so it is the reader that is killed."""

    def __init__(self, program: Program, text: str) -> None:
        self._program = program
        self._text = text
        self._pieces: SimpleQueue = SimpleQueue()  # bounded by the program's most_bytes
        self._fault: str | None = "was broken off."
        self._stderr = b""
        self._reader: gevent.Greenlet | None = None
        self._is_given_up = False
        self.keeper = gevent.Greenlet(self._keep)
        self.keeper.rawlink(lambda _: self._pieces.put(None))

    def pieces(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            yield piece
        if self._fault is not None:
            raise ProviderFault(f"{self._program.place}: {self._program.argv[0]} {self._fault}")

    def give_up(self) -> None:
        """Nobody listens any more; twice, or after the end, is fine. Returns at once."""
        self._is_given_up = True
        if self._reader is not None:
            self._reader.kill(block=False)

    def _keep(self) -> None:
        if self._is_given_up:
            return
        try:
            process = _Process(self._program, self._text)
        except OSError as error:
            self._fault = f"cannot be started ({error.strerror}): start it by hand to see why."
            return
        listener = gevent.spawn(self._hear_complaints, process)
        try:
            self._reader = gevent.spawn(self._read, process.stdout)
            self._reader.join()
            if self._fault is None and not process.await_end(LAST_SECONDS):
                self._fault = "closes its output and does not end: let it exit when all is written."
        finally:
            status = process.end()
            listener.join(LAST_SECONDS)
            listener.kill()
            process.close()
        if self._fault is None and status:
            self._fault = self._complaint(status)

    def _read(self, descriptor: int) -> None:
        """Reads to the end, or until something is wrong."""
        left = self._program.most_bytes
        while True:
            try:
                data = _read(descriptor, self._program.silence_seconds)
            except TimeoutError:
                self._fault = f"wrote nothing for {self._program.silence_seconds:g} s: is it waiting for something?"
                return
            if not data:
                self._fault = None
                return
            left -= len(data)
            if left < 0:
                self._fault = f"wrote more than {self._program.most_bytes:,} bytes for one sentence: is that its sound alone?"
                return
            self._pieces.put(data)
            give_way()  # a program that is faster than we are must not keep the others waiting

    def _hear_complaints(self, process: _Process) -> None:
        while data := _read(process.stderr, None):
            self._stderr = (self._stderr + data)[-STDERR_BYTES:]

    def _complaint(self, status: int) -> str:
        ended = f"was ended by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
        line = last_line(self._stderr, self._text)
        return f"{ended}: {line or 'start it by hand to see why.'}"


class _Process:
    """The child itself, a session and process group of its own. Raises OSError when it cannot be started."""

    def __init__(self, program: Program, text: str) -> None:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
            stdin = os.memfd_create("text")  # a file, which nobody has to write to while the program reads
            its.callback(os.close, stdin)
            os.write(stdin, text.encode("utf-8", "replace"))
            os.lseek(stdin, 0, os.SEEK_SET)
            self.stdout, stdout = _pipe(ours, its)
            self.stderr, stderr = _pipe(ours, its)
            pid = os.posix_spawn(
                program.path,
                list(program.argv),
                {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                file_actions=[
                    *((os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in enumerate((stdin, stdout, stderr))),
                    *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable(os.getpid())),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT],
            )
            self._pid = pid
            self._pid_descriptor = _watch(pid)
            ours.pop_all()

    def await_end(self, seconds: float) -> bool:
        """Whether it ends by itself in this time."""
        if self._pid_descriptor is not None:
            try:
                wait_read(self._pid_descriptor, seconds, TimeoutError())
            except TimeoutError:
                return False
        return True

    def end(self) -> int | None:
        """Kills it and what it has started, unless it has ended, and reaps it.

        Returns its exit status, or the negative number of the signal that ended it; None when somebody else has reaped it.
        """
        if self._pid_descriptor is None:
            return None
        try:
            signal.pidfd_send_signal(self._pid_descriptor, signal.SIGKILL)
        except ProcessLookupError:  # reaped, so its number may be another's by now
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        self.await_end(LAST_SECONDS)
        try:
            ended = os.waitid(os.P_PIDFD, self._pid_descriptor, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return None
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def close(self) -> None:
        for descriptor in (self.stdout, self.stderr, self._pid_descriptor):
            if descriptor is not None:
                os.close(descriptor)


def last_line(stderr: bytes, text: str) -> str:
    """The last line of a program's complaints, if it repeats nothing of ``text``: no log holds what is said."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return ""
    line = "".join(character for character in lines[-1].strip() if character.isprintable())[:LINE_CHARACTERS]
    return "its complaint repeats the text and is not shown here." if _parts(line) & _parts(text) else line


def _parts(text: str) -> set[str]:
    """What can be recognized: words of four letters, and pairs of characters where words are not parted."""
    parts = set()
    for word in re.findall(r"\w+", text.casefold()):
        if word.isascii():
            parts |= {word} if len(word) > 3 else set()
        else:
            parts |= {word[index : index + 2] for index in range(max(1, len(word) - 1))}
    return parts


def _read(descriptor: int, seconds: float | None) -> bytes:
    """What has come; waits for it. Raises TimeoutError."""
    while True:
        try:
            return os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            wait_read(descriptor, seconds, TimeoutError())


def _watch(pid: int) -> int | None:
    """A descriptor for the process; None when it has ended and somebody has reaped it."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    except OSError:  # no descriptor is left
        os.killpg(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED)
        raise


def _pipe(ours: contextlib.ExitStack, its: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe that we read without blocking; neither end is inheritable."""
    reader, writer = os.pipe()
    ours.callback(os.close, reader)
    its.callback(os.close, writer)
    os.set_blocking(reader, False)
    return reader, writer


@functools.lru_cache(maxsize=1)
def _inheritable(_pid: int) -> tuple[int, ...]:
    """The descriptors that a child would inherit: gunicorn's listening sockets. All that is opened later is not inheritable."""
    return tuple(number for number in map(int, os.listdir("/proc/self/fd")) if number > 2 and _is_inheritable(number))


def _is_inheritable(descriptor: int) -> bool:
    try:
        return not fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    except OSError:
        return False


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
