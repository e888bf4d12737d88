"""The recognizer that needs no server and no key: English only, good at commands, poor at the rest.

It recognizes in processes of its own (app/voice/sphinx), one utterance after another in each.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import ClassVar

import gevent
from gevent.lock import BoundedSemaphore
from pydantic import Field

from app.settings import SettingsError
from app.voice.provider import FaultCode, Options, ProviderFault, Workshop
from app.voice.sphinx.child import Child
from app.voice.sphinx.job import utterance_bytes
from app.voice.utterance import Utterance

log = logging.getLogger(__name__)

PLACE = "voice.asr.pocketsphinx"
MOST_WAITING = 32
"""Utterances; with so many waiting a further one is refused at once."""


class PocketsphinxOptions(Options):
    """``voice.asr.pocketsphinx``."""

    processes: int = Field(default=1, ge=1, le=64)
    """How many utterances are recognized at the same time; each takes a core and about 190 MB."""


class PocketsphinxRecognizer:
    """See app/voice/asr/recognizer.py. Raises SettingsError where pocketsphinx is not installed.

    The first process is started at once, so that it has loaded its models by the first question.
    """

    Options: ClassVar = PocketsphinxOptions

    def __init__(self, options: PocketsphinxOptions, workshop: Workshop) -> None:
        if importlib.util.find_spec("pocketsphinx") is None:
            raise SettingsError(f"{PLACE}: the Python package pocketsphinx is missing: pip install -r requirements.txt.")
        self._seconds = workshop.timeout_seconds
        self._free = [Child() for _ in range(options.processes)]
        self._children = tuple(self._free)
        self._slots = BoundedSemaphore(options.processes)
        self._waiting = 0
        self._is_closed = False
        self._warming = gevent.spawn(self._warm_up)

    def transcribe(self, utterance: Utterance, language: str) -> str:
        """The words, in the time that the stage has; ``language`` is not looked at, for there is but one."""
        late = ProviderFault(
            f"{PLACE}: this machine could not recognize it in time: raise voice.asr.timeout_seconds, or let a server do it.",
            FaultCode.LATE,
        )
        if self._waiting >= MOST_WAITING or self._is_closed:
            raise ProviderFault(
                f"{PLACE}: too many speak at the same time: wait, or set {PLACE}.processes to the number of cores."
            )
        self._waiting += 1
        try:
            with gevent.Timeout(self._seconds, late), self._slots:
                return self._recognize(utterance_bytes(utterance))
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._is_closed = True
        self._warming.kill()
        for child in self._children:
            child.stop()

    def _recognize(self, body: bytes) -> str:
        child = self._free.pop()
        try:
            try:
                return child.recognize(body)
            except OSError:
                if self._is_closed:
                    raise
                log.warning("%s: the recognizing process has died; it is started again", PLACE)
                return child.recognize(body)
        except OSError:
            raise ProviderFault(f"{PLACE}: the recognizing process does not run: look into the log for what it says.") from None
        except ProviderFault:  # the time is over, so it may hang
            child.stop()
            raise
        finally:
            self._free.append(child)

    def _warm_up(self) -> None:
        try:
            self._children[-1].start()
        except OSError as error:
            log.warning("%s: the recognizing process cannot be started: %s", PLACE, error.strerror)
