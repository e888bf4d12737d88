"""A device speaks with the voice that its operator chose for it, from its next sentence on; another device does not."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.openai_server.process import OpenAiServer
from tests.system.running_server import RunningServer, wait_for
from tests.talk.talker import Talker, spoken, talkers


def api(server: RunningServer, method: str, path: str, document: Any = None) -> tuple[int, Any]:
    token = json.loads((server.state_dir / "secrets.json").read_text())["api_token"]
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(document), headers)
    response = connection.getresponse()
    status, body = response.status, json.loads(response.read() or "null")
    connection.close()
    return status, body


def choose(server: RunningServer, talker: Talker, voice: str) -> None:
    """Once the server remembers the device."""
    path = f"/api/v1/devices/{talker.identity.mac}"
    wait_for(lambda: api(server, "PATCH", path, {"voice": voice})[0] == 200, 20, "the device is remembered")
    assert api(server, "GET", path)[1]["voice"] == voice


def test_it_speaks_with_its_own_voice_and_the_others_with_theirs(openai: OpenAiServer, server: RunningServer) -> None:
    with talkers(server, 2) as (one, other):
        choose(server, one, "coral")

        def voices_of(talker: Talker, question: str) -> set[str]:
            openai.forget()
            talker.ask(spoken(openai, question))
            return {record.facts["voice"] for record in openai.records("speech")}

        wait_for(lambda: voices_of(one, "who are you") == {"coral"}, 30, "its new voice")
        assert voices_of(other, "who are you then") == {"alloy"}
        choose(server, one, "")
        wait_for(lambda: voices_of(one, "and who are you") == {"alloy"}, 30, "the voice of the settings")
