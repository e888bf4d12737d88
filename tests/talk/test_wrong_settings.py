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
        ({"VOICE__LLM__OPENAI__BASE_URL": "not a url", "VOICE__LLM__PROVIDER": "openai"}, "voice.llm.openai.base_url"),
        ({"VOICE__TTS__PROVIDER": "wyoming", "VOICE__TTS__WYOMING__PORT": "99999"}, "voice.tts.wyoming.port"),
        ({"VOICE__TTS__PROVIDER": "command"}, "voice.tts.command.argv"),
        ({"VOICE__TTS__ESPEEK": '{"voice": "en"}'}, "voice.tts.espeek"),
        ({"VOICE__TIMEZONE": "Mars/Olympus"}, "voice.timezone"),
        ({"VOICE__LANGUAGE": "not a language"}, "voice.language"),
        ({"DIALOGUE__AGENT": "parrot"}, "dialogue.agent"),
    ],
)
def test_the_start_is_refused_and_the_setting_named(tmp_path: Path, environment: dict[str, str], named: str) -> None:
    told = {"XIAOZHI_DIALOGUE__AGENT": "assistant"} | {f"XIAOZHI_{name}": value for name, value in environment.items()}
    log = refused(RunningServer(tmp_path, environment=told))
    assert named.casefold() in log.casefold()
