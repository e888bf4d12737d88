"""What became of something that an operator wanted of a device, as a code: programs go by it, the console has words for it."""

from __future__ import annotations

from enum import StrEnum


class Saying(StrEnum):
    """One a sentence. ``app/web/console/words/said.json`` has the console's words for each, in every language."""

    # It was done, or is on its way

    SPOKEN = "spoken"
    SPOKEN_UNHEARD = "spoken_unheard"
    """No audio of the device has come in this session yet, so it may not hear it."""
    QUEUED = "queued"
    QUEUED_UNHEARD = "queued_unheard"
    TEXT_SHOWN = "text_shown"
    TEXT_SENT = "text_sent"
    """Here and below, ``…_SENT``: whether it arrived is not known."""
    ALERT_SHOWN = "alert_shown"
    ALERT_SENT = "alert_sent"
    RESTART_TOLD = "restart_told"
    RESTART_SENT = "restart_sent"
    CUSTOM_TOLD = "custom_told"
    CUSTOM_SENT = "custom_sent"

    # It was not

    NEVER_SEEN = "never_seen"
    NEVER_CONNECTED = "never_connected"
    NOT_CONNECTED = "not_connected"
    BROKER_AWAY = "broker_away"
    SESSION_ENDED = "session_ended"
    TEXTS_WAIT = "texts_wait"
    NO_TOOLS = "no_tools"
    TOOLS_UNUSED = "tools_unused"
    TOOLS_NOT_LISTED = "tools_not_listed"
    TOOLS_BUSY = "tools_busy"
    NOT_NOW = "not_now"
    """Any other reason."""
