from __future__ import annotations

import json
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from app.client.converse import Rounds, converse
from app.client.leg import Leg, LegFailed
from app.client.reply import Fate
from app.client.say import say
from app.client.state import State
from app.client.tools import Fault
from app.protocol.messages import Features
from tests.client.scripted_server import Bench, Mosquitto, wait_for


def test_manual_mode_hears_its_own_words_back(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    reply = say(device, packets, "manual")
    assert reply.heard == packets == list(reply.sent)
    assert reply.lost == reply.overflowed == reply.discarded == 0
    assert reply.texts == ["echo"]
    assert reply.summary()["stop_after_playout"] is True
    assert device.state is State.IDLE
    assert bench.server.types() == ["hello", "listen start", "listen stop"]


def test_uplink_packets_look_like_deployed_firmware_s(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    say(device, packets, "manual")
    assert [packet.sequence for packet in bench.server.uplink] == list(range(1, len(packets) + 1))
    assert {(packet.timestamp, packet.flags, packet.ssrc) for packet in bench.server.uplink} == {(0, 0, 0x01020304)}


def test_auto_mode_stops_the_microphone_at_tts_start_and_listens_again_after_stop(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    bench.server.reply_after = len(packets) + 5  # so that the silence behind the recording is heard too
    reply = say(device, packets, "auto")
    sent = len(bench.server.uplink)
    assert reply.offset_in_sent == 0
    assert reply.heard[len(packets) :] == [packets[0][:1]] * 5
    assert device.state is State.LISTENING
    wait_for(lambda: bench.server.types().count("listen start") == 2)
    assert len(bench.server.uplink) == sent < len(packets) + 5 + len(reply.heard)


def test_realtime_mode_streams_on_through_the_reply(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    bench.server.reply_after = len(packets)
    reply = say(device, packets, "realtime")
    assert reply.heard == packets
    assert len(reply.sent) >= 2 * len(packets)


def test_a_burst_overflows_the_playback_queue(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    bench.server.pace = 0
    bench.server.reply_after = 10
    device.start_listening("auto")
    wait_for(lambda: "listen start" in bench.server.types())
    device.send_audio(packets[0])
    wait_for(lambda: bench.server.peer)
    gevent.spawn(bench.server.reply, packets * 8)
    wait_for(lambda: len(device.reply.frames) == 200)
    assert device.reply.overflowed >= 200 - 125 - 50, "it has played some meanwhile"
    assert {frame.fate for frame in device.reply.frames} == {Fate.PLAYED, Fate.OVERFLOWED}


def test_audio_that_arrives_while_listening_is_thrown_away(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    device.start_listening("auto")
    device.send_audio(packets[0])
    wait_for(lambda: bench.server.peer)
    bench.server.send_audio(*packets[:3])
    wait_for(lambda: device.reply.discarded == 3)
    assert device.reply.heard == []


def test_replayed_and_malformed_downlink_packets_are_dropped_and_counted(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    channel = device.open_channel()
    device.start_listening("auto")
    device.send_audio(packets[0])
    wait_for(lambda: bench.server.peer)
    datagram = bench.server.downlink.seal(packets[:1])[0]
    for bad in (datagram, datagram, datagram + b"x", b"short"):
        bench.server.udp.sendto(bad, bench.server.peer)
    wait_for(lambda: channel.malformed == 2)
    assert (channel.received, channel.stale) == (1, 1)


def test_a_reply_without_audio_names_the_udp_leg(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    bench.server.silent = True
    with pytest.raises(LegFailed, match="no audio came back") as failed:
        say(device, packets[:3], "manual")
    assert failed.value.leg is Leg.UDP


def test_no_reply_at_all_names_the_reply_leg(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    with pytest.raises(LegFailed, match="no reply within") as failed:
        say(device, packets[:3], "auto", seconds=0.2)
    assert failed.value.leg is Leg.REPLY


def test_a_udp_port_where_nobody_listens_names_the_udp_leg(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    device.connect()
    bench.server.changes = {"port": 1}
    device.open_channel()
    with pytest.raises(LegFailed, match="nobody listens on UDP") as failed:
        say(device, packets[:3], "auto", seconds=0.2)
    assert failed.value.leg is Leg.UDP


def test_a_hello_that_nobody_answers_names_the_hello_leg_and_the_alert(bench: Bench) -> None:
    device = bench.device()
    bench.server.answers_hello = False
    device.connect()
    with pytest.raises(LegFailed, match="no hello from the server"):
        device.open_channel(0.1)
    bench.server.answers_hello = True
    bench.server.before_hello = {"type": "alert", "status": "Full", "message": "come back later", "emotion": "sad"}
    bench.server.hello_raw = {"type": "custom", "payload": {}}
    with pytest.raises(LegFailed, match="come back later"):
        device.open_channel(0.3)
    assert device.state is State.IDLE


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"key": "00"}, "udp.key"),
        ({"nonce": "02" + "00" * 15}, "udp.nonce"),
        ({"nonce": "0100000001020304"}, "udp.nonce"),
        ({"encryption": "none"}, "encryption"),
        ({"server": "no such host"}, "cannot be used"),
    ],
)
def test_a_hello_that_a_device_cannot_use_says_what_is_wrong(bench: Bench, changes: dict[str, str], sentence: str) -> None:
    device = bench.device()
    device.connect()
    bench.server.changes = changes
    with pytest.raises(LegFailed, match=sentence):
        device.open_channel(5)


def test_a_goodbye_for_another_session_is_ignored_and_its_own_ends_it(bench: Bench) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    bench.server.send(type="goodbye", session_id="another")
    wait_for(lambda: "goodbye_ignored" in bench.names())
    assert device.channel is not None
    bench.server.send(type="goodbye", session_id=bench.server.session_id)
    wait_for(lambda: device.channel is None)
    device.open_channel()
    assert device.session_id == "session-2"


def test_a_channel_on_which_nothing_comes_is_dead(bench: Bench) -> None:
    device = bench.device(channel_seconds=0.2)
    device.connect()
    device.open_channel()
    wait_for(lambda: device.channel is None)
    assert "channel_dead" in bench.names()


def test_mcp_is_answered_when_the_hello_offered_it(bench: Bench) -> None:
    device = bench.device(features=Features(mcp=True))
    device.connect()
    device.open_channel()
    bench.server.send(type="mcp", payload={"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"cursor": ""}})
    wait_for(lambda: "mcp" in bench.server.types())
    answer = bench.server.received[-1]
    assert answer["session_id"] == device.session_id
    assert [tool["name"] for tool in answer["payload"]["result"]["tools"]] == [
        "self.get_device_status",
        "self.audio_speaker.set_volume",
        "self.light.turn_on",
        "self.light.turn_off",
    ]


def test_a_slow_tool_keeps_no_other_waiting_and_a_double_one_answers_twice(bench: Bench) -> None:
    device = bench.device(features=Features(mcp=True))
    device.tools.faults = {"self.light.turn_on": Fault(seconds=0.2), "self.light.turn_off": Fault(times=2)}
    device.connect()
    device.open_channel()
    for number, name in enumerate(("self.light.turn_on", "self.light.turn_off")):
        bench.server.send(type="mcp", payload={"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name}})
    wait_for(lambda: bench.server.types().count("mcp") == 3)
    assert [message["payload"]["id"] for message in bench.server.received if message["type"] == "mcp"] == [1, 1, 0]
    called = [event.data["tool"] for event in bench.events if event.name == "mcp"]
    assert called == [call.name for call in device.tools.calls] == ["self.light.turn_on", "self.light.turn_off"]


def test_events_hold_plain_json_and_no_key(bench: Bench) -> None:
    device = bench.device()
    device.connect()
    device.open_channel()
    text = "".join(json.dumps(dict(event.data)) for event in bench.events)
    assert bytes(range(16)).hex() not in text


def test_a_conversation_survives_a_goodbye_and_a_lost_mqtt_connection(bench: Bench, packets: list[bytes]) -> None:
    device = bench.device()
    stop, rounds = Event(), Rounds()
    talking = gevent.spawn(converse, device, packets[:5], "manual", stop=stop, seconds=1.0, counted=rounds)
    wait_for(lambda: rounds.complete >= 1)
    bench.server.send(type="goodbye", session_id=device.session_id)
    wait_for(lambda: rounds.hellos >= 2)
    device.cut_mqtt()
    wait_for(lambda: device.reconnects >= 1 and device.connected)
    seen = rounds.complete
    wait_for(lambda: rounds.complete > seen)
    stop.set()
    talking.join(20)
    assert talking.successful()


def test_a_restarted_broker_is_found_again(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    bench = Bench(broker.port)
    try:
        device = bench.device()
        device.connect()
        device.open_channel()  # in a conversation it reconnects at once
        broker.stop()
        wait_for(lambda: not device.connected)
        broker.start()
        wait_for(lambda: device.connected)
    finally:
        bench.close()
        broker.stop()


def test_fifty_devices_connect_from_one_process(bench: Bench) -> None:
    devices = [bench.device() for _ in range(50)]
    gevent.joinall([gevent.spawn(device.connect) for device in devices], raise_error=True)
    assert all(device.connected for device in devices)
