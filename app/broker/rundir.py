"""The run directory: where the broker process keeps its sockets and files while it runs, and where the worker finds them.

Both compute the same path from the state directory. As root it is under /run, because Mosquitto then runs as a user of its own,
who may not be able to enter the state directory. Otherwise it is in the state directory, unless that makes the socket's path too
long for the kernel (108 bytes).
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

LONGEST_SOCKET_PATH = 100
SOCKET_NAME = "mosquitto.sock"


class BrokerError(Exception):
    """The broker cannot do what it was asked to do. Its text is a sentence a person can act on."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, by number."""

    uid: int
    gid: int


def mosquitto_account() -> Account | None:
    """Whom Mosquitto has to run as: nobody in particular (None) unless this process is root's."""
    if os.geteuid() != 0:
        return None
    for name in ("mosquitto", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise BrokerError(
        "Mosquitto must not run as root and there is neither a user mosquitto nor nobody: run adduser --system mosquitto."
    )


def run_directory(state_dir: Path) -> Path:
    """The run directory that belongs to this state directory; it need not exist yet."""
    return _run_directory_of(os.geteuid(), state_dir.resolve())


def possible_run_directories(state_dir: Path) -> frozenset[Path]:
    """Those that root, we, or the owner of the state directory would use."""
    resolved = state_dir.resolve()
    users = {0, os.geteuid(), *({resolved.stat().st_uid} if resolved.exists() else ())}
    return frozenset(_run_directory_of(user, resolved) for user in users)


def _run_directory_of(user: int, state_dir: Path) -> Path:
    name = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]
    if user == 0:
        return Path("/run") / f"xiaozhi-{name}"
    inside = state_dir / "run"
    if len(os.fsencode(inside / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
        return inside
    return Path(tempfile.gettempdir()) / f"xiaozhi-{user}-{name}"


def mosquitto_socket(state_dir: Path) -> Path:
    """The Unix socket of the built-in Mosquitto."""
    return run_directory(state_dir) / SOCKET_NAME


def create_run_directory(path: Path) -> Path:
    """Makes the directory, private to us and, as root, to Mosquitto's user. Raises BrokerError when somebody else's is there."""
    account = mosquitto_account()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            path.mkdir(mode=0o700)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise BrokerError(f"{path} is no directory (a symbolic link is not followed): remove it.")
        allowed = {os.geteuid(), account.uid} if account else {os.geteuid()}
        if status.st_uid not in allowed:
            raise BrokerError(f"{path} belongs to the user {status.st_uid}: remove it, or use another XIAOZHI_STATE_DIR.")
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if account:
                os.fchown(descriptor, account.uid, account.gid)
            os.fchmod(descriptor, 0o750 if account else 0o700)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BrokerError(f"the run directory {path} cannot be used: {error.strerror}.") from None
    return path


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only we and Mosquitto's user can read.

    The directory may be writable by Mosquitto's user, so whatever stands at ``path`` is removed and never followed.
    """
    account = mosquitto_account()
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if account:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(content)
