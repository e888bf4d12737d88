"""What pocketsphinx makes of an utterance: first as a command, then, where it does not sound like one, as free speech.

Its general language model mishears every third word of a synthesized or accented voice, and takes a second for a question. A
grammar of what is said to a voice assistant (commands.gram) gets nearly all of that right in a third of the time, but hears a
command in everything. So the grammar goes first, and is believed when the sound fits its words: when every word of them is on the
average not much worse than the best that the acoustic model could make of that moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

WORST_WORD = -1000
