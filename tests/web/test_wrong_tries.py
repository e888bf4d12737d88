"""Who has to wait after wrong tries."""

from __future__ import annotations

import ipaddress

from app.web.wrong_tries import FREE, MAX_NETWORKS, SECONDS_EACH, SITE, WrongTries


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def v6(network: int, host: int = 1, site: str = "2001:db8:5") -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(f"{site}:{network:x}::{host:x}")


def test_addresses_of_one_64_are_one_network() -> None:
    wrong = WrongTries(Clock())
    for host in range(FREE):
        assert not wrong.wait(v6(1, host + 1))
        wrong.add(v6(1, host + 1))
    assert wrong.wait(v6(1, 99)) == SECONDS_EACH + 1
    assert not wrong.wait(v6(2))


def test_who_has_many_networks_of_one_48_has_to_wait_with_all_of_them() -> None:
    clock = Clock()
    wrong = WrongTries(clock)
    tries = 0
    while not wrong.wait(v6(tries)):
        wrong.add(v6(tries))
        tries += 1
    assert tries == FREE * SITE
    assert not wrong.wait(v6(0, site="2001:db8:6"))
    clock.now += SECONDS_EACH / SITE
    assert not wrong.wait(v6(tries))


def test_no_number_of_networks_fills_the_memory() -> None:
    wrong = WrongTries(Clock())
    for number in range(MAX_NETWORKS + 50):
        wrong.add(v6(number & 0xFFFF, site=f"2001:db8:{number >> 4:x}"))
    assert len(wrong._clean_at) == MAX_NETWORKS
