"""Codes, challenges and proofs."""

from __future__ import annotations

import hashlib
import hmac
import itertools

import pytest

from app.devices import activation as activation_module
from app.devices.activation import Activations, Bound, Proof, Refused, TooManyWaiting
from app.devices.database import Database
from app.devices.store import DeviceStore
from app.protocol.malformed import Malformed

MAC, OTHER = "aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:00"
KEY = "00112233445566778899aabbccddeeff"


class Clock:
    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def activations(database: Database, clock: Clock) -> Activations:
    return Activations(database, 10, clock)


def proof(challenge: str, serial: str = "SN-1", key: str = KEY) -> Proof:
    return Proof(serial, challenge, hmac.digest(bytes.fromhex(key), challenge.encode(), hashlib.sha256).hex())


def test_a_code_has_six_digits_and_stays_while_it_is_good(activations: Activations) -> None:
    waiting = activations.begin(MAC, "")
    assert len(waiting.code) == 6
    assert waiting.code.isdigit()
    assert activations.waiting(MAC, "") == waiting


def test_a_code_is_unique_among_those_that_wait(database: Database, clock: Clock) -> None:
    codes = itertools.chain(["000001", "000001", "000001", "000002"], itertools.repeat("000003"))
    activations = Activations(database, 10, clock, lambda: next(codes))
    assert activations.begin(MAC, "").code == "000001"
    assert activations.begin(OTHER, "").code == "000002"


def test_a_version_1_device_waits_until_its_code_is_entered(activations: Activations, database: Database) -> None:
    waiting = activations.begin(MAC, "")
    assert not activations.is_active(MAC, None)
    assert activations.bind(waiting.code) == Bound(MAC, proven=True)
    assert activations.is_active(MAC, None)
    device = DeviceStore(database).get(MAC)
    assert device is not None
    assert device.active


def test_a_code_works_once(activations: Activations) -> None:
    code = activations.begin(MAC, "").code
    assert activations.bind(code) is not None
    assert activations.bind(code) is None


def test_a_code_that_nobody_shows_binds_nothing(activations: Activations) -> None:
    code = activations.begin(MAC, "").code
    assert activations.bind(f"{(int(code) + 1) % 1_000_000:06d}") is None


def test_a_code_expires(activations: Activations, clock: Clock) -> None:
    waiting = activations.begin(MAC, "")
    clock.ms += 600_000
    assert activations.bind(waiting.code) is None
    assert activations.waiting(MAC, "") is None
    with pytest.raises(Refused, match="OTA"):
        activations.is_active(MAC, None)
    assert activations.begin(MAC, "").challenge != waiting.challenge


def test_only_so_many_devices_wait_at_a_time(activations: Activations, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_module, "MAX_WAITING", 1)
    activations.begin(MAC, "")
    with pytest.raises(TooManyWaiting):
        activations.begin(OTHER, "")
    activations.begin(MAC, "")
    clock.ms += 600_000
    activations.begin(OTHER, "")


def test_a_version_2_device_waits_proves_itself_and_is_in(activations: Activations, database: Database) -> None:
    activations.register("SN-1", KEY.upper())
    waiting = activations.begin(MAC, "SN-1")
    assert not activations.is_active(MAC, proof(waiting.challenge))
    assert activations.bind(waiting.code) == Bound(MAC, proven=False)
    assert activations.is_active(MAC, proof(waiting.challenge))
    device = DeviceStore(database).get(MAC)
    assert device is not None
    assert (device.active, device.serial) == (True, "SN-1")


def test_a_code_alone_does_not_let_a_version_2_device_in(activations: Activations, database: Database) -> None:
    activations.register("SN-1", KEY)
    activations.bind(activations.begin(MAC, "SN-1").code)
    with pytest.raises(Refused, match="sign"):
        activations.is_active(MAC, None)
    assert DeviceStore(database).get(MAC) is None


def test_a_challenge_works_once(activations: Activations) -> None:
    activations.register("SN-1", KEY)
    waiting = activations.begin(MAC, "SN-1")
    activations.bind(waiting.code)
    assert activations.is_active(MAC, proof(waiting.challenge))
    with pytest.raises(Refused, match="used already"):
        activations.is_active(MAC, proof(waiting.challenge))


@pytest.mark.parametrize(
    "change",
    [
        {"key": "ff" * 16},
        {"serial": "SN-2"},
        {"challenge": "another"},
    ],
)
def test_a_wrong_proof_is_refused(activations: Activations, change: dict[str, str]) -> None:
    activations.register("SN-1", KEY)
    activations.register("SN-2", KEY)
    waiting = activations.begin(MAC, "SN-1")
    activations.bind(waiting.code)
    with pytest.raises(Refused):
        activations.is_active(MAC, proof(**{"challenge": waiting.challenge, **change}))
    assert activations.is_active(MAC, proof(waiting.challenge)), "and the right one still works"


def test_an_unregistered_serial_number_is_refused_in_the_words_of_a_wrong_key(activations: Activations) -> None:
    waiting = activations.begin(MAC, "SN-1")
    with pytest.raises(Refused, match="registered for this serial number"):
        activations.is_active(MAC, proof(waiting.challenge))
    activations.register("SN-1", "ee" * 16)
    with pytest.raises(Refused, match="registered for this serial number"):
        activations.is_active(MAC, proof(waiting.challenge))


def test_the_challenge_of_another_device_is_of_no_use(activations: Activations) -> None:
    activations.register("SN-1", KEY)
    waiting = activations.begin(MAC, "SN-1")
    activations.begin(OTHER, "SN-1")
    with pytest.raises(Refused):
        activations.is_active(OTHER, proof(waiting.challenge))


@pytest.mark.parametrize(("serial", "key"), [("", KEY), ("a b", KEY), ("SN-1", "xyz"), ("SN-1", "00"), ("SN-1", "")])
def test_what_is_no_serial_number_or_no_key_is_refused(activations: Activations, serial: str, key: str) -> None:
    with pytest.raises(Malformed):
        activations.register(serial, key)
