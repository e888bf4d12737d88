"""The recognizing process, started by child.py: utterances come in on its standard input, words go out on the output.

It ends with its input, and with the process that started it. It knows no settings, and its environment holds no secret.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import BinaryIO

from app.voice.pcm import decoded
from app.voice.sphinx.hearing import Hearing
from app.voice.sphinx.job import frame_of, read_frame, read_utterance

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Recognizes one utterance after another. The argument is the pid of the process that started it."""
    _die_with(int(sys.argv[1]))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    hearing = Hearing()
    while True:
        try:
            number, body = read_frame(lambda size: _exactly(requests, size))
        except EOFError:
            return
        words = hearing.words(decoded(read_utterance(body)))
        answers.write(frame_of(number, words.encode()))
        answers.flush()


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _die_with(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the server, which ends us
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    main()
