"""Who may operate a server: the file, and the commands that change it."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app import cli, operators, passwords
from app.operators import MAX_ENDED, MAX_TOKENS, Operators, TooManyTokens, fault_of_name
from app.passwords import Cost
from app.settings import SettingsError

TOP = Path(__file__).resolve().parent.parent
CHEAP = Cost(n=2, r=1, p=1)


def opened(folder: Path, now: float = 1_800_000_000.0) -> Operators:
    """Looks at the file each time it is asked."""
    return Operators(folder, cost=CHEAP, now=lambda: now, look_seconds=0)


@pytest.fixture
def house(tmp_path: Path) -> Operators:
    """With a password."""
    made = opened(tmp_path)
    made.set_password("correct-horse")
    return made


# The password


def test_a_password_is_kept_as_a_hash_that_only_it_matches(tmp_path: Path, house: Operators) -> None:
    assert house.password_matches("correct-horse")
    assert not house.password_matches("correct-horsf")
    assert not house.password_matches("")
    assert "correct-horse" not in (tmp_path / "operators.json").read_text()


def test_only_its_owner_can_read_the_file(tmp_path: Path, house: Operators) -> None:
    house.add_token("prometheus")
    assert (tmp_path / "operators.json").stat().st_mode & 0o777 == 0o600


def test_the_first_start_generates_a_password_and_says_it_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = operators.load(tmp_path)
    (line,) = caplog.messages
    password = line.removeprefix("The console's password is ").partition(";")[0]
    assert loaded.password_matches(password)
    caplog.clear()
    operators.load(tmp_path)
    assert caplog.messages == []


def test_a_password_set_before_the_first_start_stays_and_is_not_said(
    tmp_path: Path, house: Operators, caplog: pytest.LogCaptureFixture
) -> None:
    assert operators.load(tmp_path).password_matches("correct-horse")
    assert caplog.messages == []


def test_a_configured_password_goes_over_the_kept_one_and_is_not_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, house: Operators
) -> None:
    epoch = house.read().epoch
    loaded = operators.load(tmp_path, "from the environment")
    assert loaded.password_matches("from the environment")
    assert not loaded.password_matches("correct-horse")
    assert loaded.read().epoch != epoch
    assert caplog.messages == []


def test_a_configured_password_that_stays_ends_no_login_at_a_restart(tmp_path: Path) -> None:
    epoch = operators.load(tmp_path, "from the environment").read().epoch
    assert operators.load(tmp_path, "from the environment").read().epoch == epoch


def test_a_configured_password_that_is_too_short_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"XIAOZHI_CONSOLE__PASSWORD: .* 8 characters"):
        operators.load(tmp_path, "short")


def test_a_token_made_before_the_first_start_does_not_stand_for_a_password(tmp_path: Path) -> None:
    first = opened(tmp_path)
    _, text = first.add_token("prometheus")
    assert not first.password_matches("")
    password = first.generate()
    assert password is not None
    assert first.password_matches(password)
    assert first.token_of(text) is not None


def test_a_new_password_is_another_epoch_and_another_process_takes_it_over(tmp_path: Path, house: Operators) -> None:
    before = house.kept()
    opened(tmp_path).set_password("battery-staple")
    assert house.password_matches("battery-staple")
    assert not house.password_matches("correct-horse")
    assert house.kept().epoch != before.epoch
    assert house.kept().session_key == before.session_key


def test_the_same_password_again_is_another_epoch_too(house: Operators) -> None:
    before = house.kept().epoch
    house.set_password("correct-horse")
    assert house.kept().epoch != before


def test_a_password_typed_on_another_keyboard_is_the_same() -> None:
    assert passwords.matches("cafe\u0301-am-ring", passwords.hashed("caf\u00e9-am-ring", CHEAP))


@pytest.mark.parametrize(
    "kept", ["", "scrypt", "scrypt$2$1$1$%%$%%", "scrypt$3$1$1$AAAA$AAAA", "scrypt$x$1$1$AAAA$AAAA", "md5$2$1$1$AAAA$AAAA"]
)
def test_what_is_no_hash_matches_nothing(kept: str) -> None:
    assert not passwords.matches("", kept)


def test_a_generated_password_may_be_used_and_differs_each_time() -> None:
    made = {passwords.fresh() for _ in range(100)}
    assert len(made) == 100
    assert all(passwords.fault_of(password) is None for password in made)


@pytest.mark.parametrize(("password", "sentence"), [("seven77", "at least 8"), ("", "at least 8"), ("x" * 1001, "at most 1000")])
def test_a_password_too_short_or_too_long_is_a_sentence(password: str, sentence: str) -> None:
    assert sentence in (passwords.fault_of(password) or "")


# Tokens


def test_a_token_is_known_by_its_text_which_is_not_kept(tmp_path: Path, house: Operators) -> None:
    token, text = house.add_token("prometheus")
    assert house.token_of(text) == token
    assert (token.name, token.created_at) == ("prometheus", 1_800_000_000)
    assert house.token_of(text[:-1]) is None
    assert house.token_of("") is None
    assert house.token_of("\ud800") is None
    assert text not in (tmp_path / "operators.json").read_text()


def test_a_removed_token_is_none_in_a_process_that_runs(tmp_path: Path, house: Operators) -> None:
    token, text = house.add_token("prometheus")
    other, other_text = house.add_token("door")
    assert opened(tmp_path).remove_token(token.token_id)
    assert house.token_of(text) is None
    assert house.token_of(other_text) == other
    assert not house.remove_token(token.token_id)


def test_there_is_a_bound_to_tokens(house: Operators) -> None:
    for number in range(MAX_TOKENS):
        house.add_token(f"machine {number}")
    with pytest.raises(TooManyTokens, match="remove one"):
        house.add_token("one more")
    assert len(house.kept().tokens) == MAX_TOKENS
    assert len({token.token_id for token in house.kept().tokens}) == MAX_TOKENS


def test_changes_at_the_same_moment_are_all_kept(tmp_path: Path, house: Operators) -> None:
    started = [threading.Thread(target=opened(tmp_path).add_token, args=(f"machine {number}",)) for number in range(20)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert sorted(token.name for token in house.kept().tokens) == sorted(f"machine {number}" for number in range(20))


@pytest.mark.parametrize("name", ["prometheus", "客厅 的 屏幕", "a", "x" * 64, "ci/deploy-2.0"])
def test_such_names_a_token_may_have(name: str) -> None:
    assert fault_of_name(name) is None


@pytest.mark.parametrize("name", ["", " ", "a ", " a", "x" * 65, "a\nb", "a\x1b[2J", "a\n", "\ud800", "a\u202eb"])
def test_such_names_it_may_not(name: str) -> None:
    assert fault_of_name(name)


# Logins that ended


def test_an_ended_login_is_remembered_until_nothing_would_believe_it(tmp_path: Path, house: Operators) -> None:
    house.end("one", 1_800_000_100)
    later = opened(tmp_path, now=1_800_000_101.0)
    assert later.kept().ended == {"one": 1_800_000_100}
    later.end("two", 1_800_000_200)
    assert house.kept().ended == {"two": 1_800_000_200}


def test_when_too_many_are_ended_all_end(house: Operators) -> None:
    with house._changing() as kept:
        house._write(operators.replace(kept, ended={str(number): 1_800_000_100 for number in range(MAX_ENDED)}))
    epoch = house.kept().epoch
    house.end("one more", 1_800_000_100)
    assert house.kept().ended == {}
    assert house.kept().epoch != epoch


# The file


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"password": 7}', '{"tokens": [{}]}', "\x00"])
def test_a_damaged_file_is_a_sentence_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "operators.json").write_text(content)
    for attempt in (opened(tmp_path).generate, opened(tmp_path).read, lambda: opened(tmp_path).set_password("correct-horse")):
        with pytest.raises(SettingsError, match="is damaged: restore it, or delete it"):
            attempt()
    assert (tmp_path / "operators.json").read_text() == content


def test_what_a_newer_version_keeps_does_not_keep_this_one_from_starting(tmp_path: Path, house: Operators) -> None:
    path = tmp_path / "operators.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"passkeys": []}))
    assert opened(tmp_path).password_matches("correct-horse")


@pytest.mark.parametrize("damage", ["gone", "garbage"])
def test_a_file_that_is_lost_while_the_server_runs_changes_nothing_and_is_said_once(
    tmp_path: Path, house: Operators, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "operators.json"
    if damage == "gone":
        path.unlink()
    else:
        path.write_text("garbage")
    assert house.password_matches("correct-horse")
    assert house.password_matches("correct-horse")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    opened(tmp_path / "elsewhere").set_password("battery-staple")
    (tmp_path / "elsewhere" / "operators.json").rename(path)
    assert house.password_matches("battery-staple")


def test_a_state_directory_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="XIAOZHI_STATE_DIR"):
        opened(tmp_path / "file" / "var").generate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_changes_by_command_still_belongs_to_the_servers_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    opened(tmp_path).set_password("correct-horse")
    assert {path.name: path.stat().st_uid for path in tmp_path.iterdir()} == {"operators.json": 12345, "operators.lock": 12345}


def test_a_repr_shows_no_secret(house: Operators) -> None:
    token, text = house.add_token("prometheus")
    kept = house.kept()
    for secret in (kept.password, kept.session_key, token.sha256, text):
        assert secret not in repr(kept)


# The commands


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operators:
    """The operators whom the commands change."""
    monkeypatch.setenv("XIAOZHI_STATE_DIR", str(tmp_path))
    return opened(tmp_path)


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_passwd_reads_a_line_where_there_is_no_terminal(state: Operators, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, "mind the gap \nanother line\n")
    assert cli.main(["passwd"]) == 0
    assert state.password_matches("mind the gap ")


def test_passwd_refuses_a_short_one_and_the_old_one_stays(
    state: Operators, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state.set_password("correct-horse")
    given(monkeypatch, "short\n")
    assert cli.main(["passwd"]) == 1
    assert "at least 8 characters" in capsys.readouterr().err
    assert state.password_matches("correct-horse")


def test_passwd_says_when_the_configuration_sets_the_password(
    state: Operators, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XIAOZHI_CONSOLE__PASSWORD", "from the environment")
    assert cli.main(["passwd", "--generate"]) == 1
    assert "XIAOZHI_CONSOLE__PASSWORD" in capsys.readouterr().err
    assert state.read().password == ""


def test_passwd_generates_one_and_prints_nothing_else(state: Operators, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["passwd", "--generate"]) == 0
    assert state.password_matches(capsys.readouterr().out.strip())


@pytest.mark.parametrize(("second", "status", "right"), [("correct-horse", 0, True), ("correct-house", 1, False)])
def test_passwd_asks_twice_on_a_terminal_and_shows_nothing(tmp_path: Path, second: str, status: int, right: bool) -> None:
    keyboard, terminal = pty.openpty()
    command = subprocess.Popen(
        [sys.executable, "-m", "app", "passwd"],
        cwd=TOP,
        env={**os.environ, "XIAOZHI_STATE_DIR": str(tmp_path)},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    for prompt, typed in ((b"New password of the console: ", "correct-horse"), (b"Once more: ", second)):
        while prompt not in shown:
            shown += os.read(keyboard, 1000)
        os.write(keyboard, typed.encode() + b"\n")
    assert command.wait(30) == status
    os.close(keyboard)
    assert b"correct" not in shown
    assert opened(tmp_path).password_matches("correct-horse") == right


def test_tokens_are_added_listed_and_removed(state: Operators, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tokens", "list"]) == 0
    assert "There are no tokens." in capsys.readouterr().err
    assert cli.main(["tokens", "add", "prometheus"]) == 0
    text = capsys.readouterr().out.strip()
    token = state.token_of(text)
    assert token is not None
    assert cli.main(["tokens", "list"]) == 0
    listed = capsys.readouterr().out
    assert token.token_id in listed
    assert "prometheus" in listed
    assert text not in listed
    assert cli.main(["tokens", "remove", token.token_id]) == 0
    assert state.token_of(text) is None
    assert cli.main(["tokens", "remove", token.token_id]) == 1
    assert "There is no token" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["tokens", "list"], ["tokens", "add", "prometheus"], ["passwd", "--generate"]])
def test_a_damaged_file_is_a_sentence_for_each_command(
    tmp_path: Path, state: Operators, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "operators.json").write_text("{")
    assert cli.main(command) == 1
    shown = capsys.readouterr()
    assert "is damaged: restore it, or delete it" in shown.err
    assert shown.out == ""


def test_a_token_without_a_name_is_refused(state: Operators, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tokens", "add", " "]) == 1
    assert capsys.readouterr().err.startswith("A token's name has 1 to 64 letters")
