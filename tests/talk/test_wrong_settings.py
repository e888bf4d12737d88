"""A wrong setting stops the start with a sentence that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.running_server import RunningServer
from tests.system.test_starting import refused


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"VOICE__ASR__PROVIDER": "whisper9"}, "voice.asr.provider"),
        ({"VOICE__LLM__PROVIDER": "openai"}, "OPENAI_API_KEY"),
        ({"VOICE__TTS__PROVIDER": "wyoming", "VOICE__TTS__WYOMING__PORT": "99999"}, "voice.tts.wyoming.port"),
        ({"VOICE__TTS__ESPEAK__PITSH": "50"}, "voice.tts.espeak.pitsh"),
        ({"VOICE__TIMEZONE": "Mars/Olympus"}, "voice.timezone"),
    ],
)
def test_the_start_is_refused_and_the_setting_named(tmp_path: Path, environment: dict[str, str], named: str) -> None:
    told = {"XIAOZHI_DIALOGUE__AGENT": "assistant"} | {f"XIAOZHI_{name}": value for name, value in environment.items()}
    log = refused(RunningServer(tmp_path, environment=told))
    assert named.casefold() in log.casefold()
