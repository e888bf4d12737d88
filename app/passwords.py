"""A password as it is kept: its scrypt hash (RFC 7914), which says with which cost it was made.

Both `hashed` and `matches` take tenths of a second and ``128 * n * r`` bytes (32 MiB) each, without the GIL: in a server they
belong in a pool thread, few at a time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass

SHORTEST, LONGEST = 8, 1000
"""Characters."""
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that are mistaken for each other."""
_GROUPS, _GROUP = 4, 4
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Cost:
    """scrypt's parameters: ``n`` is a power of two."""

    n: int = 2**15
    r: int = 8
    p: int = 3


def fresh() -> str:
    """A password that nobody guesses (79 bits) and a person can type on a phone: ``k7mq-x2hv-p9rt-3dwn``."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def fault_of(password: str) -> str | None:
    """None when ``password`` may be used, else the sentence that says why not."""
    if len(password) < SHORTEST:
        return f"The password has to have at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"The password may have at most {LONGEST} characters."
    return None


def hashed(password: str, cost: Cost | None = None) -> str:
    """``password`` as it is kept: ``scrypt$n$r$p$salt$hash``."""
    cost, salt = cost or Cost(), secrets.token_bytes(_SALT_BYTES)
    numbers = (str(cost.n), str(cost.r), str(cost.p))
    return "$".join(("scrypt", *numbers, _text(salt), _text(_scrypt(password, salt, cost))))


def matches(password: str, kept: str) -> bool:
    """Whether ``kept`` was made of ``password``; takes the same time whichever character is wrong. False for what is no hash."""
    try:
        scheme, n, r, p, salt, wanted = kept.split("$")
        if scheme != "scrypt":
            return False
        found = _scrypt(password, base64.b64decode(salt, validate=True), Cost(int(n), int(r), int(p)))
        return hmac.compare_digest(found, base64.b64decode(wanted, validate=True))
    except ValueError:
        return False


def _scrypt(password: str, salt: bytes, cost: Cost) -> bytes:
    # What is typed as one character on one keyboard is two on another.
    spelled = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    room = 128 * cost.r * (cost.n + cost.p + 2)
    return hashlib.scrypt(spelled, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=room + 1024 * 1024)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
