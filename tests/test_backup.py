"""A state directory goes into an archive and comes back out of it, or nothing happens and a sentence says why."""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from app.backup.backing_up import back_up
from app.backup.contents import BackupError
from app.backup.restoring import Restored, restore
from app.broker.lock import held_run_directory
from app.broker.rundir import run_directory
from app.devices.database import Database, known_revisions, read_url
from app.journal import Journal
from app.node_lock import NodeLock
from tests.system.running_server import TOP

NOW = datetime(2026, 7, 21, 9, 30, 5)
Member = tuple[str, bytes | str | None]
"""A name, and what is in it; None: it is a folder; text: it is a link that leads there."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A directory as a server leaves it, with what it leaves while it runs."""
    directory = tmp_path / "var"
    directory.mkdir(mode=0o750)
    database = Database(read_url("", directory), directory / "database.lock")
    database.migrate()
    database.close()
    journal = Journal(directory / "reached.jsonl", 10)
    journal.put("aa:bb:cc:dd:ee:ff", {"http": "192.168.1.5"})
    journal.close()
    private(directory / "secrets.json", '{"signature_key": "the key"}')
    (directory / "firmware" / "a-board").mkdir(parents=True)
    (directory / "firmware" / "a-board" / "1.2.3.bin").write_bytes(bytes(range(256)) * 1000)
    (directory / "speech").mkdir()
    (directory / "speech" / "aa.speech").write_text("a sentence")
    (directory / "node.lock").touch()
    (directory / "operators.new").write_text("half a file")
    (directory / "run").mkdir()
    (directory / "run" / "mosquitto.conf").write_text("x")
    (directory / "passwd").symlink_to("/etc/passwd")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(directory / "s"))
    return directory


def private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def saved(state: Path, *, with_speech: bool = False) -> Path:
    archive = state.parent / "backup.tar.gz"
    back_up(state, archive, state / "xiaozhi.db", with_speech=with_speech)
    return archive


def restored(archive: Path, state: Path) -> Restored:
    return restore(archive, state, known_revisions(), NOW)


def names_in(archive: Path) -> set[str]:
    with tarfile.open(archive) as tar:
        return {member.name for member in tar.getmembers() if member.isfile()}


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """Every path below, and what the files hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if not path.is_socket()
    }


def rewritten(archive: Path, change: Callable[[list[Member]], None]) -> None:
    """Makes it another archive with the same manifest."""
    members: list[Member] = []
    with tarfile.open(archive) as tar:
        for one in tar.getmembers():
            file = tar.extractfile(one)
            members.append((one.name, None if file is None else file.read()))
    change(members)
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


# The archive


def test_what_the_server_remembers_is_in_it_and_what_belongs_to_its_processes_is_not(state: Path) -> None:
    assert names_in(saved(state)) == {
        "manifest.json",
        "var/firmware/a-board/1.2.3.bin",
        "var/reached.jsonl",
        "var/secrets.json",
        "var/xiaozhi.db",
    }


def test_spoken_sentences_are_in_it_when_they_are_asked_for(state: Path) -> None:
    assert "var/speech/aa.speech" in names_in(saved(state, with_speech=True))


def test_nobody_else_can_read_the_archive(state: Path) -> None:
    assert stat.S_IMODE(saved(state).stat().st_mode) == 0o600


def test_the_manifest_names_time_schema_and_the_hash_of_each_file(state: Path) -> None:
    with tarfile.open(saved(state)) as tar:
        first = tar.next()
        assert first is not None
        manifest = json.load(tar.extractfile(first))  # type: ignore[arg-type]
    assert manifest["revision"] in known_revisions()
    assert datetime.fromisoformat(manifest["time"]).tzinfo is not None
    assert manifest["files"]["secrets.json"]["size"] == len('{"signature_key": "the key"}')
    assert all(len(file["sha256"]) == 64 for file in manifest["files"].values())


def test_what_a_transaction_has_not_committed_yet_is_not_in_it_and_the_writer_goes_on(state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state / "xiaozhi.db", isolation_level=None)) as writer:
        writer.execute("CREATE TABLE notes (text)")
        writer.execute("INSERT INTO notes VALUES ('committed')")  # it is in the -wal file, not in the database's own
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO notes VALUES ('not yet')")
        archive = saved(state)
        writer.execute("COMMIT")
    restored(archive, tmp_path / "other")
    with closing(sqlite3.connect(tmp_path / "other" / "xiaozhi.db")) as reader:
        assert reader.execute("SELECT text FROM notes").fetchall() == [("committed",)]


def test_a_backup_of_another_day_is_not_replaced(state: Path) -> None:
    archive = saved(state)
    before = archive.read_bytes()
    with pytest.raises(BackupError, match="is there already: remove it"):
        saved(state)
    assert archive.read_bytes() == before


def test_an_archive_in_the_state_directory_itself_is_refused(state: Path) -> None:
    with pytest.raises(BackupError, match="would be lost with it"):
        back_up(state, state / "backup.tar.gz", None)


def test_a_backup_that_fails_leaves_nothing_behind(state: Path) -> None:
    (state / "xiaozhi.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    with pytest.raises(BackupError, match="cannot be copied"):
        saved(state)
    assert os.listdir(state.parent) == ["var"]


def test_without_a_database_in_the_state_directory_the_manifest_names_no_schema(state: Path, tmp_path: Path) -> None:
    assert back_up(state, tmp_path / "b.tar.gz", None).manifest.revision is None


# The way back


def test_everything_comes_back_with_its_mode_and_the_old_state_is_put_aside(state: Path) -> None:
    archive = saved(state)
    private(state / "secrets.json", "overwritten")
    (state / "reached.jsonl").unlink()
    (state / "new.txt").write_text("written after the backup")
    done = restored(archive, state)
    assert (state / "secrets.json").read_text() == '{"signature_key": "the key"}'
    assert stat.S_IMODE((state / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o750
    assert (state / "firmware" / "a-board" / "1.2.3.bin").read_bytes() == bytes(range(256)) * 1000
    assert Journal(state / "reached.jsonl", 10).get("aa:bb:cc:dd:ee:ff") == {"http": "192.168.1.5"}
    assert not (state / "new.txt").exists()
    assert done.aside == state.with_name("var.before-restore-20260721T093005")
    assert (done.aside / "secrets.json").read_text() == "overwritten"
    assert (done.aside / "new.txt").exists()


def test_a_state_directory_that_is_not_there_or_empty_is_made_and_nothing_is_put_aside(state: Path, tmp_path: Path) -> None:
    archive = saved(state)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        assert restored(archive, tmp_path / name).aside is None
        assert (tmp_path / name / "secrets.json").exists()
    assert sorted(os.listdir(tmp_path)) == ["backup.tar.gz", "empty", "missing", "var"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_restores_belongs_to_whom_the_state_directory_belongs(state: Path) -> None:
    archive = saved(state)
    os.chown(state, 65534, 65534)
    restored(archive, state)
    owners = {path.lstat().st_uid for path in (state, *state.rglob("*"))}
    assert owners == {65534}


def refused(archive: Path, state: Path, sentence: str) -> None:
    """Restoring says so, and nothing has changed."""
    before, beside = everything_in(state), sorted(os.listdir(state.parent))
    with pytest.raises(BackupError, match=sentence):
        restored(archive, state)
    assert everything_in(state) == before
    assert sorted(os.listdir(state.parent)) == beside


def test_a_server_that_runs_is_not_restored_under_its_feet(state: Path) -> None:
    archive = saved(state)
    lock = NodeLock(state)
    lock.acquire()
    refused(archive, state, "The server runs with .*: stop it first")
    lock.release()
    restored(archive, state)


def test_nor_is_a_broker_process(state: Path) -> None:
    archive = saved(state)
    with held_run_directory(run_directory(state)):
        refused(archive, state, "A broker process runs with .*: stop it first")
    restored(archive, state)


@pytest.mark.parametrize("size", [0, 10, 300, 1000])
def test_an_archive_cut_short_is_refused(state: Path, size: int) -> None:
    archive = saved(state)
    archive.write_bytes(archive.read_bytes()[:size])
    refused(archive, state, "is damaged, or no backup")


def test_an_archive_of_something_else_is_refused(state: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "foreign.tar.gz", "w:gz") as tar:
        tar.add(state / "secrets.json", "var/secrets.json")
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"hello"))
    (tmp_path / "text").write_text("hello")
    for name in ("foreign.tar.gz", "text.gz", "text"):
        refused(tmp_path / name, state, "is damaged, or no backup")
    refused(tmp_path / "nowhere", state, "cannot be read: No such file")


def test_a_file_that_was_changed_is_refused(state: Path) -> None:
    archive = saved(state)

    def change(members: list[Member]) -> None:
        place = next(index for index, (name, _) in enumerate(members) if name == "var/secrets.json")
        members[place] = ("var/secrets.json", b'{"signature_key": "not it"}\n')

    rewritten(archive, change)
    refused(archive, state, "'secrets.json' is not what was written")


def test_a_file_that_is_missing_is_refused(state: Path) -> None:
    archive = saved(state)
    rewritten(archive, lambda members: members.remove(next(one for one in members if one[0] == "var/secrets.json")))
    refused(archive, state, "it lacks 'secrets.json'")


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (("var/../outside", b"x"), "which no backup of this server holds"),
        (("/var/outside", b"x"), "which no backup of this server holds"),
        (("../outside", b"x"), "which no backup of this server holds"),
        (("outside", b"x"), "which no backup of this server holds"),
        (("var//secrets.json", b"x"), "which no backup of this server holds"),
        (("var/./secrets.json", b"x"), "which no backup of this server holds"),
        (("var/node.lock", b"x"), "which no backup of this server holds"),
        (("var/run/mosquitto.conf", b"x"), "which no backup of this server holds"),
        (("var/not-in-the-manifest", b"x"), "nor one of the files that its manifest names"),
        (("var/secrets.json", b"again"), "nor one of the files that its manifest names"),
        (("var/a-link", "/etc/passwd"), "nor one of the files that its manifest names"),
        (("var/firmware", None), "is there twice"),
        (("var/secrets.json/below", None), "is there twice, or without its folder"),
    ],
)
def test_a_path_that_leads_elsewhere_a_link_and_a_file_too_many_are_refused(state: Path, member: Member, why: str) -> None:
    archive = saved(state)
    rewritten(archive, lambda members: members.append(member))
    refused(archive, state, f"is damaged, or no backup of this server: .*{why}")
    assert not (state.parent / "outside").exists()


def test_a_link_in_the_place_of_a_file_is_refused(state: Path) -> None:
    archive = saved(state)

    def change(members: list[Member]) -> None:
        place = next(index for index, (name, _) in enumerate(members) if name == "var/secrets.json")
        members[place] = ("var/secrets.json", "/etc/passwd")

    rewritten(archive, change)
    refused(archive, state, "neither a folder nor one of the files")


def test_an_archive_that_was_only_packed_again_is_taken(state: Path) -> None:
    archive = saved(state)
    rewritten(archive, lambda members: None)
    restored(archive, state)


def test_a_schema_of_a_newer_version_is_refused(state: Path) -> None:
    with closing(sqlite3.connect(state / "xiaozhi.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    refused(saved(state), state, "of a newer version of this server .the schema 9999")


# The commands


def command(*arguments: str, state: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XIAOZHI_", "DATABASE_URL"))}
    everything = {**kept, "XIAOZHI_STATE_DIR": str(state), **environment}
    line = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(line, cwd=TOP, env=everything, capture_output=True, text=True, timeout=60, check=False)


def test_with_postgresql_the_command_says_that_the_database_is_not_in_it(state: Path, tmp_path: Path) -> None:
    url = "postgresql://user:pass-word@127.0.0.1/name"
    done = command("backup", str(tmp_path / "b.tar.gz"), state=state, DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert "save it with pg_dump" in done.stderr
    assert "pass-word" not in done.stdout + done.stderr


def test_a_fault_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    for arguments in (("backup", str(tmp_path / "b.tar.gz")), ("restore", str(tmp_path / "b.tar.gz"))):
        done = command(*arguments, state=tmp_path / "nowhere")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert os.listdir(tmp_path) == []
