from __future__ import annotations

from app.client.state import TRANSITIONS, State, Trigger
from app.client.tools import Tools


def test_hello_and_the_end_of_a_session_are_possible_in_every_state() -> None:
    for state in State:
        assert TRANSITIONS[state, Trigger.OPEN] is State.CONNECTING
        assert TRANSITIONS[state, Trigger.CLOSED] is State.IDLE


def test_tts_stop_leads_back_to_listening_but_to_idle_in_manual_mode() -> None:
    assert TRANSITIONS[State.SPEAKING, Trigger.TTS_STOP] is State.LISTENING
    assert TRANSITIONS[State.SPEAKING, Trigger.TTS_STOP_MANUAL] is State.IDLE


def test_a_tts_start_while_speaking_or_connecting_is_refused() -> None:
    assert (State.SPEAKING, Trigger.TTS_START) not in TRANSITIONS
    assert (State.CONNECTING, Trigger.TTS_START) not in TRANSITIONS


def test_notifications_are_never_answered() -> None:
    assert Tools("b", "1").answer({"jsonrpc": "2.0", "method": "notifications/initialized"}) is None


def test_the_volume_can_be_set_and_is_checked() -> None:
    tools = Tools("b", "1")

    def set_volume(volume: object) -> object:
        params = {"name": "self.audio_speaker.set_volume", "arguments": {"volume": volume}}
        response = tools.answer({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        assert response is not None
        return response["result"]["isError"]

    assert (set_volume(30), set_volume(101), set_volume(None)) == (False, True, True)
    assert tools.volume == 30
