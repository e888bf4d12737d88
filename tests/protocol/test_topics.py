"""PROTOCOL.md 3: topics and client ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.malformed import Malformed
from app.protocol.topics import ClientId, check_uuid, device_id, sender_of, spellings, with_colons

hex_pair = st.text("0123456789abcdefABCDEF", min_size=2, max_size=2)
macs = st.lists(hex_pair, min_size=6, max_size=6).map(":".join)
names = st.text("abcXYZ019_-", min_size=1, max_size=36)


@given(group=names, mac=macs, uuid=names)
def test_parsing_undoes_writing(group: str, mac: str, uuid: str) -> None:
    client = ClientId(group, mac, uuid)
    assert ClientId.parse(str(client)) == client


@given(st.text(max_size=100))
def test_no_text_raises_anything_but_malformed(text: str) -> None:
    for read in (ClientId.parse, device_id, check_uuid, sender_of, lambda text: sender_of("/p2p/device_public/" + text)):
        try:
            read(text)
        except Malformed:
            continue


@pytest.mark.parametrize(
    "name",
    ["11:22:33:44:55:aA", "11_22_33_44_55_aA", "GID_x@@@11_22_33_44_55_aA@@@36c98363-3656-43cb-a00f-8bced2391a90"],
)
def test_a_sender_is_understood_in_every_spelling_and_answered_in_his(name: str) -> None:
    sender = sender_of("/p2p/device_public/" + name)
    assert sender.device_id == "11:22:33:44:55:aa"
    assert sender.reply_topic == "/p2p/device_sub/" + name


@pytest.mark.parametrize(
    "topic",
    [
        "/p2p/device_public/_server/lifecycle",
        "/p2p/device_public/",
        "/p2p/device_public/11:22:33:44:55",
        "/p2p/device_public/11:22:33:44:55:66/more",
        "/p2p/device_public/11:22_33:44:55:66",
        "/p2p/device_sub/11:22:33:44:55:66",
        "device-server",
        "/p2p/device_public/GID@@@11_22_33_44_55_66@@@+",
    ],
)
def test_a_topic_of_no_device_is_refused(topic: str) -> None:
    with pytest.raises(Malformed):
        sender_of(topic)


@pytest.mark.parametrize("mac", ["11:22:33:44:55:aA", "11-22-33-44-55-aA", "11_22_33_44_55_aA", "1122334455aA"])
def test_a_mac_is_read_with_any_separator_and_with_none(mac: str) -> None:
    assert with_colons(mac) == "11:22:33:44:55:aA"
    assert device_id(mac) == "11:22:33:44:55:aa"


@pytest.mark.parametrize("mac", ["1122334455", "1122334455aabb", "11:22:33:4455:aa", "1122.3344.55aa", "1122334455ag"])
def test_what_is_no_mac_is_refused(mac: str) -> None:
    with pytest.raises(Malformed):
        with_colons(mac)


def test_a_client_has_three_spellings() -> None:
    client = ClientId.parse("GID_x@@@11_22_33_44_55_AA@@@u")
    assert spellings(client) == {"11:22:33:44:55:AA", "11_22_33_44_55_AA", "GID_x@@@11_22_33_44_55_AA@@@u"}
    assert client.device_id == "11:22:33:44:55:aa"
