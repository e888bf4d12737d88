"""Round after round, surviving what may break: lost connections, goodbyes, a server that restarts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gevent.event import Event

from app.client.device import HELLO_SECONDS, Device
from app.client.leg import Leg, LegFailed
from app.client.reply import Reply
from app.client.say import REPLY_SECONDS, say
from app.protocol.messages import ListenMode

RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 5.0


@dataclass(slots=True)
class Rounds:
    """How a conversation went. ``failures``: by leg; ``hellos``: channels opened; ``last_failure``: its sentence."""

    complete: int = 0
    hellos: int = 0
    failures: Counter[Leg] = field(default_factory=Counter)
    last_failure: str = ""


def converse(
    device: Device,
    packets: Sequence[bytes],
    mode: ListenMode,
    *,
    stop: Event,
    rounds: int | None = None,
    seconds: float = REPLY_SECONDS,
    hello_seconds: float = HELLO_SECONDS,
    on_reply: Callable[[Reply], None] | None = None,
    counted: Rounds | None = None,
) -> Rounds:
    """Says ``packets`` again and again until ``stop`` is set (looked at between rounds) or ``rounds`` are complete.

    Whatever leg fails is counted and gone again from its beginning: it reconnects, asks OTA anew where it never got its settings,
    and says hello anew. ``counted`` is brought up to date while it runs, for whoever watches. Ends with a goodbye.
    """
    result = counted or Rounds()
    pause = RETRY_SECONDS
    while not stop.is_set() and (rounds is None or result.complete < rounds):
        try:
            device.connect(seconds, patient=True)
            if device.channel is None:
                device.open_channel(hello_seconds)
                result.hellos += 1
            reply = say(device, packets, mode, seconds)
        except LegFailed as failure:
            result.failures[failure.leg] += 1
            result.last_failure = str(failure)
            device.emit("leg_failed", leg=failure.leg.value, reason=failure.sentence)
            device.close_channel()
            stop.wait(pause * random.uniform(0.5, 1.0))
            pause = min(LONGEST_RETRY_SECONDS, pause * 2)
        else:
            pause = RETRY_SECONDS
            result.complete += 1
            if on_reply is not None:
                on_reply(reply)
    device.close_channel()
    return result
