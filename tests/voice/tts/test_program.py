"""Programs that speak, as real processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gevent
import gevent.socket
import pytest

from app.voice.provider import ProviderFault
from app.voice.tts.program import ENVIRONMENT, Program, Programs, _inheritable, last_line
from tests.waiting import eventually

TOP = Path(__file__).resolve().parents[3]


def shell(script: str, seconds: float = 20.0, most_bytes: int = 1 << 20) -> Program:
    path = shutil.which("sh")
    assert path is not None
    return Program("voice.tts.command", Path(path), ("sh", "-c", script), seconds, most_bytes)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def zombies() -> list[str]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in children if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"]


@pytest.fixture
def programs() -> Programs:
    return Programs(4)


def test_the_text_is_its_input_and_what_it_writes_its_output(programs: Programs) -> None:
    text = "Grüße, 你好! $(exit 3); 'quoted'"
    assert b"".join(programs.output(shell("cat"), text)).decode() == text


def test_output_comes_as_it_is_written(programs: Programs, tmp_path: Path) -> None:
    fifo = tmp_path / "go on"
    os.mkfifo(fifo)
    pieces = programs.output(shell(f"printf first; cat '{fifo}'"), "")
    assert next(pieces) == b"first"
    fifo.write_bytes(b"second")
    assert b"".join(pieces) == b"second"


INHERITED = """
import json, os
print(json.dumps([sorted(map(int, os.listdir("/proc/self/fd"))), sorted(os.environ)]))
"""


def test_it_inherits_three_descriptors_and_no_secret(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    inheritable, other = os.pipe()
    os.set_inheritable(inheritable, True)
    _inheritable.cache_clear()
    try:
        program = Program("voice.tts.command", Path(sys.executable), ("python", "-I", "-c", INHERITED), 20.0, 10_000)
        descriptors, names = json.loads(b"".join(programs.output(program, "")))
    finally:
        os.close(inheritable)
        os.close(other)
        _inheritable.cache_clear()
    assert descriptors[:3] == [0, 1, 2]
    assert inheritable not in descriptors
    assert set(names) <= {*ENVIRONMENT, "LC_CTYPE"}  # which Python sets itself


def test_a_program_that_is_not_listened_to_any_more_is_killed_with_its_children(programs: Programs, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pieces = programs.output(shell(f"sleep 600 & echo $$ $! > '{pids}'; echo sound; wait"), "")
    assert next(pieces) == b"sound\n"
    leader, child = map(int, pids.read_text().split())
    pieces.close()  # type: ignore[attr-defined]
    eventually(lambda: not is_alive(leader) and not is_alive(child))
    eventually(lambda: not zombies())


def test_killing_the_listening_greenlet_kills_the_program(programs: Programs, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    listener = gevent.spawn(lambda: list(programs.output(shell(f"echo $$ > '{pid_file}'; exec sleep 600"), "")))
    eventually(lambda: pid_file.exists() and pid_file.read_text().strip())
    listener.kill()
    eventually(lambda: not is_alive(int(pid_file.read_text())))


def test_breaking_off_at_any_moment_leaves_nothing_behind(tmp_path: Path) -> None:
    programs = Programs(4)
    descriptors = len(os.listdir("/proc/self/fd"))
    for moment in range(24):
        listener = gevent.spawn(lambda: list(programs.output(shell("echo sound; echo more >&2"), "")))
        for _ in range(moment):
            gevent.sleep(0.0003)
        listener.kill()
    eventually(lambda: not zombies() and len(os.listdir("/proc/self/fd")) <= descriptors)
    running = [gevent.spawn(lambda: b"".join(programs.output(shell("echo free"), ""))) for _ in range(4)]
    gevent.joinall(running, raise_error=True)


def test_a_greenlet_killed_at_the_very_start_leaves_no_slot_taken() -> None:
    programs = Programs(1)
    for _ in range(3):
        listener = gevent.spawn(lambda: list(programs.output(shell("sleep 600"), "")))
        gevent.sleep(0)
        listener.kill()
    assert b"".join(programs.output(shell("echo free"), "")) == b"free\n"


def test_silence_for_too_long_is_a_fault_and_the_end(programs: Programs, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(ProviderFault, match=r"voice\.tts\.command: sh wrote nothing for 0\.3 s"):
        list(programs.output(shell(f"echo $$ > '{pid_file}'; exec sleep 600", seconds=0.3), ""))
    eventually(lambda: not is_alive(int(pid_file.read_text())))


def test_too_much_output_is_a_fault_and_the_end(programs: Programs) -> None:
    with pytest.raises(ProviderFault, match="wrote more than 100,000 bytes"):
        list(programs.output(shell("cat /dev/zero", most_bytes=100_000), ""))


def test_a_status_that_is_not_0_is_said_with_the_last_line_of_stderr(programs: Programs) -> None:
    with pytest.raises(ProviderFault, match=r"sh ended with status 3: no such model$"):
        list(programs.output(shell("echo loading >&2; echo no such model >&2; exit 3"), "hello"))


def test_a_program_ended_by_a_signal_is_said_so(programs: Programs) -> None:
    with pytest.raises(ProviderFault, match="was ended by SIGKILL"):
        list(programs.output(shell("kill -KILL $$"), ""))


def test_a_program_that_cannot_be_started_is_said_so(programs: Programs, tmp_path: Path) -> None:
    with pytest.raises(ProviderFault, match=r"nothing cannot be started \(No such file or directory\)"):
        list(programs.output(Program("voice.tts.command", tmp_path / "nothing", ("nothing",), 5, 100), ""))


def test_a_flood_of_complaints_holds_nothing_up(programs: Programs) -> None:
    script = "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo sound"
    assert b"".join(programs.output(shell(script), "")) == b"sound\n"


def test_what_is_left_running_in_the_background_is_ended(programs: Programs, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    assert not b"".join(programs.output(shell(f"sleep 600 >/dev/null & echo $! > '{pid_file}'"), ""))
    eventually(lambda: not is_alive(int(pid_file.read_text())))


def test_so_many_run_at_a_time_and_the_others_wait(tmp_path: Path) -> None:
    programs = Programs(2)
    script = f"mkdir '{tmp_path}'/$$; ls '{tmp_path}' | wc -l; sleep 0.05; rmdir '{tmp_path}'/$$"
    waiting = [gevent.spawn(lambda: b"".join(programs.output(shell(script), ""))) for _ in range(8)]
    gevent.joinall(waiting, raise_error=True)
    assert {int(one.value) for one in waiting} <= {1, 2}


def test_output_that_nobody_takes_yet_holds_no_program() -> None:
    programs = Programs(1)
    slow = programs.output(shell("head -c 300000 /dev/zero"), "")
    assert next(slow)
    assert b"".join(programs.output(shell("echo next"), "")) == b"next\n"
    slow.close()  # type: ignore[attr-defined]


def test_whoever_waits_too_long_for_a_slot_is_told() -> None:
    programs = Programs(1)
    first = programs.output(shell("echo on; exec sleep 600"), "")
    next(first)
    with pytest.raises(ProviderFault, match="too many programs"):
        next(programs.output(shell("echo off", seconds=0.1), ""))
    first.close()  # type: ignore[attr-defined]


REAPED = """
import gevent
from pathlib import Path
from app.voice.tts.program import Program, programs

gevent.get_hub().loop.install_sigchld()
for _ in range(5):
    assert b"".join(programs.output(Program("p", Path("/bin/echo"), ("echo", "sound"), 20, 9999), "")) == b"sound\\n"
"""


def test_somebody_else_who_reaps_every_child_does_no_harm() -> None:
    # In a process of its own: gevent's handler of SIGCHLD stays once it is installed.
    subprocess.run([sys.executable, "-c", REAPED], cwd=TOP, check=True, timeout=60)


@pytest.mark.parametrize(
    ("stderr", "text", "line"),
    [
        (b"", "hello", ""),
        (b"one\ntwo \n\n", "hello", "two"),
        (b"cannot say 'Hello there'", "hello there, friend", "its complaint repeats the text and is not shown here."),
        ("不会说今天".encode(), "今天天气很好", "its complaint repeats the text and is not shown here."),
        (b"\x1b[31m" + b"x" * 500, "hello", "[31m" + "x" * 196),
    ],
)
def test_what_is_said_of_stderr_repeats_nothing_of_the_text(stderr: bytes, text: str, line: str) -> None:
    assert last_line(stderr, text) == line


WORKER = """
import os, sys
sys.path.insert(0, {top!r})
from pathlib import Path
from app.voice.tts.program import Program, programs

def app(environ, start_response):
    start_response("200 OK", [])
    yield b"".join(programs.output(Program("p", Path("/bin/ls"), ("ls", "-l", "/proc/self/fd"), 20, 9999), "text"))
    yield b"children: " + Path(f"/proc/self/task/{{os.getpid()}}/children").read_bytes()
"""


def test_in_a_gunicorn_worker_it_runs_without_the_listening_socket_and_is_reaped(tmp_path: Path) -> None:
    (tmp_path / "speaking.py").write_text(WORKER.format(top=str(TOP)))
    (tmp_path / "gunicorn.conf.py").write_text("bind = 'unix:speaking.sock'\ncontrol_socket_disable = True\n")
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "speaking:app"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as gunicorn:
        try:
            answers = [eventually(lambda: asked(tmp_path / "speaking.sock"), 30) for _ in range(2)]
        finally:
            gunicorn.terminate()
            gunicorn.wait(20)
    for answer in answers:
        assert "0 -> /memfd:text" in answer
        assert answer.count("pipe:") == 2
        assert "socket:" not in answer
        assert answer.endswith("children: ")


def asked(path: Path) -> str:
    """What the worker answers; nothing while it does not."""
    sock = gevent.socket.socket(gevent.socket.AF_UNIX)
    try:
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := sock.recv(4096):
            answer += data
    except OSError:
        return ""
    finally:
        sock.close()
    return answer.decode()
