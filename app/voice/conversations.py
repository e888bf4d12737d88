"""All conversations of one node: makes one for each session, and owns what they share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from app.figures import ConversationFigures
from app.mcp.client import ToolBox
from app.mcp.discovery import Vision
from app.mcp.known import KnownTools
from app.opus import codec
from app.protocol.messages import Mcp
from app.session.session import Session
from app.settings import Settings
from app.timers import Timers
from app.voice.agent import Agent
from app.voice.agents.assistant import Assistant, Crew
from app.voice.agents.echo import EchoAgent
from app.voice.answering import Studio
from app.voice.conversation import SpokenConversation
from app.voice.crew import make_crew
from app.voice.figures import VoiceFigures
from app.voice.memory import Memory
from app.voice.playback import PlaybackFigures
from app.voice.trial import Trials

log = logging.getLogger(__name__)

TOOL_EVENTS = ("calls", "failed", "unanswered", "late", "double", "unknown", "malformed")


class Conversations:
    """``vision_for(device_id)``: where that device may send its camera's pictures. Raises SettingsError for wrong providers."""

    def __init__(
        self,
        settings: Settings,
        timers: Timers,
        memory: Memory,
        vision_for: Callable[[str], Vision | None],
    ) -> None:
        self._timers = timers
        self._memory = memory
        self._vision_for = vision_for
        self._known_tools = KnownTools()
        self.playback = PlaybackFigures()
        self.figures = VoiceFigures()
        self._studio = Studio(settings.dialogue, timers, self.playback, self.figures)
        _load_libopus()
        self._crew: Crew | None = None
        if settings.dialogue.agent == "assistant":
            self._crew = make_crew(settings.voice, settings.state_dir, memory, self.figures)
        self.trials = Trials(self._crew)

    def converse(self, session: Session) -> SpokenConversation:
        """The conversation of a session whose hello has not been answered yet."""
        agent: Agent = EchoAgent() if self._crew is None else Assistant(session, self._crew, self._tools_of(session))
        return SpokenConversation(session, self._studio, agent)

    def tool_box(
        self,
        device_id: str,
        send: Callable[[dict[str, Any]], None],
        on_round_trip: Callable[[float], None] = lambda _seconds: None,
        session_id: str = "",
    ) -> ToolBox:
        """The tools of a device, whatever way ``send`` is to it; ``on_round_trip`` is told how long its answers took."""
        vision = self._vision_for(device_id)
        return ToolBox(
            device_id, send, self._timers, self._known_tools, vision, on_round_trip=on_round_trip, session_id=session_id
        )

    def count(self) -> ConversationFigures:
        """What has been counted up to now."""
        figures, memory, tools = self.figures, self._memory.figures(), self._known_tools.figures
        return ConversationFigures(
            utterances=figures.utterances,
            unheard=figures.unheard,
            replies=figures.replies,
            barge_ins=figures.barge_ins,
            farewells=figures.farewells,
            faults=dict(figures.faults),
            tools={event: tools[event] for event in TOOL_EVENTS},
            histories_written=memory.written,
            histories_waiting=memory.waiting,
            histories_dropped=memory.dropped,
        )

    def stop(self) -> None:
        """Gives up the providers' connections and processes; twice is fine."""
        if self._crew is not None:
            self._crew.close()

    def _tools_of(self, session: Session) -> ToolBox | None:
        if not session.terms.features.mcp:
            return None
        return self.tool_box(
            session.device_id, lambda payload: session.send(Mcp(payload=payload)), session.timings.round_trip, session.id
        )


def _load_libopus() -> None:
    """Before a thread of the pool needs it."""
    try:
        codec.load()
    except codec.OpusMissing as missing:
        log.warning("%s Until then nothing can be decoded or encoded.", missing)
