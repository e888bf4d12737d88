"""A server that talks with devices is backed up; another one, started from that, knows them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from app import passwords
from app.operators import Operators
from tests.openai_server.process import OpenAiServer
from tests.system.running_server import TOP, RunningServer, wait_for
from tests.talk.conftest import QUICK, started
from tests.talk.talker import Talker, one_talker, said_before, spoken


def command(server: RunningServer, *arguments: str, status: int = 0) -> str:
    """What it says."""
    line = [sys.executable, "-m", "app", *arguments]
    done = subprocess.run(line, cwd=TOP, env=server.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def device_name(server: RunningServer, device_id: str) -> str:
    """What the API says, asked with the token that was generated at the first start."""
    token = json.loads((server.state_dir / "secrets.json").read_text())["api_token"]
    address = f"http://127.0.0.1:{server.http_port}/api/v1/devices/{device_id}"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["name"])


def shown_password(server: RunningServer) -> str:
    """The console's, from the log of the first start."""
    shown = re.search(r"The console's password is (\S+);", server.log())
    assert shown is not None
    return shown[1]


def test_a_server_is_backed_up_while_it_talks_and_another_one_goes_on_from_there(tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.gz"
    with OpenAiServer() as openai:
        openai.script(ms_per_character=15)
        environment = {**QUICK, **openai.environment()}
        before = RunningServer(tmp_path / "before", environment=environment)
        after = RunningServer(tmp_path / "after", environment=environment)
        try:
            with one_talker(started(before)) as talker:
                device_id = talker.identity.mac
                talker.ask(spoken(openai, "alpha"))
                wait_for(lambda: before.metrics()["histories_written_total"] >= 1, 20, "what was said is written")
                wait_for(lambda: before.metrics()["devices_written_total"] >= 1, 20, "the device is written")
                command(before, "devices", "name", device_id, "the lamp in the hall")
                reply = talker.tell(spoken(openai, "beta"))
                assert "secrets too" in command(before, "backup", str(archive))
                assert "stop it first" in command(before, "restore", str(archive), status=1)
                wait_for(lambda: reply.stopped_at is not None, 20, "the answer was not disturbed")
            before.stop()
            password = shown_password(before)

            assert "var.before" not in command(after, "restore", str(archive))
            other = Talker(started(after))
            other.identity = talker.identity
            try:
                other.hello()
                other.ask(spoken(openai, "gamma"))
            finally:
                other.shutdown()
            assert said_before(openai, "gamma")[:2] == [("user", "alpha"), ("assistant", "You said: alpha. That was number 1.")]
            assert device_name(after, device_id) == "the lamp in the hall"
            assert passwords.matches(password, Operators(after.state_dir).read().password)
            assert "The console's password is" not in after.log()
            assert (after.state_dir / "secrets.json").read_bytes() == (before.state_dir / "secrets.json").read_bytes()
        finally:
            before.clear()
            after.clear()
