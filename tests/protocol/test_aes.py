"""AES of counter blocks: pycryptodome's C function, and the way without it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.protocol.aes import DIRECT, KEPT_BLOCKS, WRAPPED, Engine, Scratch
from app.protocol.cipher import SessionCipher

KEY = bytes(range(16))
HEADER = os.urandom(16)
SIZES = (1, 15, 16, 17, 108, 1_275, 1_280, 1_281, 1_297, 65_535)


def test_pycryptodome_s_c_function_is_found() -> None:
    """The pycryptodome of requirements.txt has it: else every packet costs twice the time."""
    assert DIRECT is not None


@pytest.mark.parametrize("size", SIZES)
def test_both_ways_give_the_same_bytes(size: int) -> None:
    assert DIRECT is not None
    payload = os.urandom(size)
    sealed = SessionCipher(KEY, Scratch(WRAPPED)).apply(HEADER, payload)
    assert SessionCipher(KEY, Scratch(DIRECT)).apply(HEADER, payload) == sealed
    assert SessionCipher(KEY, Scratch(WRAPPED)).apply(HEADER, sealed) == payload


def test_ciphers_that_share_a_scratch_keep_their_keys_apart() -> None:
    scratch = Scratch()
    keys = [os.urandom(16) for _ in range(3)]
    sharing = [SessionCipher(key, scratch) for key in keys]
    for size in (50, 60, 50):
        payload = os.urandom(size)
        assert [cipher.apply(HEADER, payload) for cipher in sharing] == [
            SessionCipher(key).apply(HEADER, payload) for key in keys
        ]


def test_a_scratch_keeps_no_more_than_so_many_buffers() -> None:
    """Knowing an ssrc is all a stranger needs to have packets of any length decrypted."""
    scratch = Scratch()
    cipher = SessionCipher(KEY, scratch)
    for size in range(1, 4_096 * 16, 16):
        cipher.apply(HEADER, bytes(size))
    assert sorted(scratch) == list(range(1, KEPT_BLOCKS + 1))


def test_an_engine_that_fails_or_writes_something_else_is_not_taken() -> None:
    assert not Engine(lambda *_: 1, lambda ecb: ecb, lambda buffer: buffer).is_right()
    assert not Engine(lambda *_: 0, lambda ecb: ecb, lambda buffer: buffer).is_right()


def test_a_failure_is_never_taken_for_a_keystream() -> None:
    with pytest.raises(RuntimeError, match="AES"):
        SessionCipher(KEY, Scratch(Engine(lambda *_: 1, lambda ecb: ecb, lambda buffer: buffer))).apply(HEADER, b"spoken")


def test_without_cffi_the_documented_way_is_taken() -> None:
    program = (
        "import sys; sys.modules['cffi'] = None\n"
        "from app.protocol import aes\n"
        "from app.protocol.cipher import SessionCipher\n"
        f"print(aes.DIRECT, SessionCipher(bytes({list(KEY)})).apply(bytes({list(HEADER)}), b'spoken').hex())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["None", SessionCipher(KEY).apply(HEADER, b"spoken").hex()]
