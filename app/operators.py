"""Who may operate this server: ``operators.json`` in the state directory (mode 0600).

It holds the console's password as a hash, what the console's logins are signed with, and the tokens of machines. The server and
the commands `passwd` and `tokens` change it, at the same moment if need be: each change is made under a lock and written whole,
to a file of its own that takes the other's place. Whoever reads looks whether it has changed, so a running server takes it over.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from app import passwords
from app.settings import SettingsError

log = logging.getLogger(__name__)

NAME = "operators.json"
MAX_TOKENS = 100
LONGEST_NAME = 64
"""Characters."""
MAX_ENDED = 1000
"""Logins that ended before their time. When there are more, all end: forgetting one would let it in again."""
TOKEN_PREFIX = "xiaozhi_"  # noqa: S105 - how a leaked one is recognized
_LOOK_SECONDS = 1.0
_NAME = re.compile(r"[\w.@/-]([\w .@/-]*[\w.@/-])?")


@dataclass(frozen=True, slots=True)
class MachineToken:
    """A token of a program. Its text is shown once and not kept."""

    token_id: str
    name: str
    sha256: str = field(repr=False)
    """Of the text, in hex: 256 random bits need no slow hash."""
    created_at: int
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file says."""

    password: str = field(default="", repr=False)
    """Its hash; empty where none was set or generated yet."""
    epoch: str = ""
    """Changes with the password: logins of another epoch have ended."""
    session_key: str = field(default="", repr=False)
    """Signs logins."""
    tokens: tuple[MachineToken, ...] = ()
    ended: Mapping[str, int] = field(default_factory=dict)
    """Logins that were ended, by id, and until when each would have been good (seconds since the epoch)."""


class TooManyTokens(Exception):
    """The text is the sentence."""


_FILE = TypeAdapter(Kept)
_Signature = tuple[int, int, int]


class Operators:
    """The file at ``state_dir``. Reading costs next to nothing; what changes it waits for files: in a server, in a pool thread.

    ``now``: seconds since the epoch; ``cost``: of the password's hash.
    """

    def __init__(
        self,
        state_dir: Path,
        cost: passwords.Cost | None = None,
        now: Callable[[], float] = time.time,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._path = state_dir / NAME
        self._cost = cost
        self._now = now
        self._look_seconds = look_seconds
        self._looked = -1e9
        self._held: tuple[_Signature | None, Kept] = (None, Kept())
        self._complained = False

    def generate(self) -> str | None:
        """At the first start: a fresh password, returned so that it can be shown, once; None when there is one already.

        Raises SettingsError when the file cannot be used.
        """
        with self._changing() as kept:
            if kept.password:
                return None
            password = passwords.fresh()
            self._write(self._with_password(kept, password))
            return password

    # Looking

    def kept(self) -> Kept:
        """What the file says now, or said a second ago. A file that has gone or is damaged changes nothing."""
        clock = time.monotonic()
        if clock - self._looked >= self._look_seconds:
            self._looked = clock
            self._look()
        return self._held[1]

    def read(self) -> Kept:
        """What the file says, read now; nothing where there is none. Raises SettingsError when it cannot be read."""
        try:
            return self._read()[1]
        except FileNotFoundError:
            return Kept()
        except OSError as error:
            raise SettingsError(f"{self._path} cannot be read: {error.strerror}: run this as the server's own user.") from None

    def password_matches(self, password: str) -> bool:
        """Slow, and with 32 MiB: in a pool thread."""
        return passwords.matches(password, self.kept().password)

    def token_of(self, text: str) -> MachineToken | None:
        """Whose token this is; takes the same time whichever character is wrong."""
        digest, found = _digest(text), None
        for token in self.kept().tokens:
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found

    # Changing; each raises SettingsError when the file cannot be used

    def set_password(self, password: str) -> None:
        """Every login ends."""
        with self._changing() as kept:
            self._write(self._with_password(kept, password))

    def add_token(self, name: str) -> tuple[MachineToken, str]:
        """A new token, and its text, which nobody can be shown again. Raises TooManyTokens."""
        text = TOKEN_PREFIX + secrets.token_urlsafe(32)
        with self._changing() as kept:
            if len(kept.tokens) >= MAX_TOKENS:
                raise TooManyTokens(f"There are {MAX_TOKENS} tokens already: remove one that nobody uses.")
            token = MachineToken(_fresh_id(kept), name, _digest(text), int(self._now()))
            self._write(replace(kept, tokens=(*kept.tokens, token)))
        return token, text

    def remove_token(self, token_id: str) -> bool:
        """Its next request is refused; False when there is none with this id."""
        with self._changing() as kept:
            left = tuple(token for token in kept.tokens if token.token_id != token_id)
            if len(left) == len(kept.tokens):
                return False
            self._write(replace(kept, tokens=left))
        return True

    def end(self, login_id: str, until: int) -> None:
        """This login, good until then, lets nobody in any more."""
        with self._changing() as kept:
            ended = {one: end for one, end in kept.ended.items() if end > self._now()} | {login_id: until}
            if len(ended) > MAX_ENDED:
                self._write(replace(kept, epoch=_fresh_epoch(), ended={}))
            else:
                self._write(replace(kept, ended=ended))

    def _with_password(self, kept: Kept, password: str) -> Kept:
        key = kept.session_key or secrets.token_urlsafe(32)
        return replace(kept, password=passwords.hashed(password, self._cost), epoch=_fresh_epoch(), session_key=key, ended={})

    # The file

    def _look(self) -> None:
        try:
            found = self._path.stat()
            if _signature(found) == self._held[0]:
                return
            self._held = self._read()
            self._complained = False
        except (OSError, SettingsError) as fault:
            if not self._complained:
                self._complained = True
                log.error("%s cannot be read (%s): logins and tokens stay as they were", self._path, type(fault).__name__)

    def _read(self) -> tuple[_Signature, Kept]:
        with self._path.open("rb") as file:
            signature, content = _signature(os.fstat(file.fileno())), file.read()
        try:
            return signature, _FILE.validate_json(content)
        except ValidationError:
            raise SettingsError(
                f"{self._path} is damaged: restore it, or delete it to have a new password generated; tokens end with it."
            ) from None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Kept]:
        """What the file says, while nobody else changes it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = self._open(self._path.with_suffix(".lock"), os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                try:
                    kept = self._read()[1]
                except FileNotFoundError:
                    kept = Kept()
                yield kept
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SettingsError(
                f"{self._path} cannot be used: {error.strerror}: "
                "let this user write there, or name another directory in XIAOZHI_STATE_DIR."
            ) from None

    def _write(self, kept: Kept) -> None:
        new = self._path.with_suffix(".new")
        descriptor = self._open(new, os.O_WRONLY | os.O_TRUNC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_FILE.dump_json(kept, indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
            signature = _signature(os.fstat(file.fileno()))
        new.replace(self._path)
        self._held = (signature, kept)

    def _open(self, path: Path, flags: int) -> int:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if os.geteuid() == 0:  # what root changes by command, the server's own user has to be able to read
            owner = self._path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor


def load(state_dir: Path, configured: str = "") -> Operators:
    """The operators of the server that starts. At its first start it says the password in the log: once, and nowhere else.

    ``configured``: the password that the configuration sets; then none is generated. Raises SettingsError when it is too short,
    or the file cannot be used.
    """
    operators = Operators(state_dir)
    if configured:
        fault = passwords.fault_of(configured)
        if fault is not None:
            raise SettingsError(f"console.password or XIAOZHI_CONSOLE__PASSWORD: {fault}")
        if not operators.password_matches(configured):
            operators.set_password(configured)
        return operators
    password = operators.generate()
    if password is not None:
        log.warning("The console's password is %s; change it with `python -m app passwd`.", password)
    return operators


def fault_of_name(name: str) -> str | None:
    """None when a token may be called ``name``, else the sentence that says why not."""
    if len(name) <= LONGEST_NAME and _NAME.fullmatch(name):
        return None
    return f"a token's name has 1 to {LONGEST_NAME} letters, digits and . _ @ / -, and spaces between them"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _fresh_id(kept: Kept) -> str:
    taken = {token.token_id for token in kept.tokens}
    while (token_id := secrets.token_hex(4)) in taken:
        pass
    return token_id


def _fresh_epoch() -> str:
    """Random, not counted: a restored backup must not bring old logins back."""
    return secrets.token_urlsafe(12)


def _signature(found: os.stat_result) -> _Signature:
    return found.st_ino, found.st_mtime_ns, found.st_size
