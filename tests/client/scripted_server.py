"""A server of few words on a real Mosquitto: it answers hello and echoes, so that the device can be tested by itself."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent import socket as green_socket
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from app.client.device import Device
from app.client.event import Event
from app.client.identity import Identity
from app.client.mqtt_settings import MqttSettings
from app.client.state import State
from app.protocol.audio_packet import HEADER_SIZE, AudioPacket, nonce
from app.protocol.cipher import DownlinkCipher, SessionCipher
from app.protocol.messages import AudioParams
from app.protocol.topics import device_public_topic, device_sub_topic
from app.transport.paho_loop import GreenletLoop
from tests.ports import free_port
from tests.waiting import eventually as wait_for

KEY = bytes(range(16))
SSRC = 0x01020304
HEAD_START = 3


class Mosquitto:
    """A real one on a free port; unless ``anonymous`` it refuses everybody."""

    def __init__(self, folder: Path, anonymous: bool = True) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous {str(anonymous).lower()}\npersistence false\n")
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(self._config)], stderr=subprocess.DEVNULL)
        wait_for(self._listens)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class ScriptedServer:
    """Knobs: ``answers_hello``; ``changes`` go over the fields of its hello's udp object; ``silent`` sends no audio;
    ``pace`` 0 sends all at once; ``hello_raw`` is sent instead of a hello; ``before_hello`` before it; ``is_heard`` tells
    whether the device has got the ``tts start``, before which it takes no audio."""

    def __init__(self, port: int) -> None:
        self.answers_hello, self.silent, self.pace = True, False, 1.0
        self.changes: dict[str, Any] = {}
        self.hello_raw: dict[str, Any] | None = None
        self.before_hello: dict[str, Any] | None = None
        self.received: list[dict[str, Any]] = []
        self.uplink: list[AudioPacket] = []
        self.heard: list[bytes] = []
        self.mac = ""
        self.hellos = 0
        self.reply_after: int | None = None
        self.mode = ""
        self.peer: Any = None
        self.udp = green_socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.ready = False
        self.is_heard: Callable[[], bool] = lambda: True
        self.client = Client(CallbackAPIVersion.VERSION2, f"server-{port}")
        self.client.on_connect = lambda client, *_: client.subscribe("/p2p/device_public/#")
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.on_message = lambda _c, _u, message: self._on_message(message.topic, json.loads(message.payload))
        self.client.connect("127.0.0.1", port)
        self.loop = GreenletLoop(self.client)
        self._greenlets = [gevent.spawn(self.loop.run), gevent.spawn(self._receive)]
        wait_for(lambda: self.ready)

    def close(self) -> None:
        self.loop.stop()
        self._greenlets[0].join(2)
        gevent.killall(self._greenlets)
        self.udp.close()

    def send(self, **message: Any) -> None:
        self.loop.post(device_sub_topic(self.mac), json.dumps(message).encode())

    @property
    def session_id(self) -> str:
        return f"session-{self.hellos}"

    def types(self) -> list[str]:
        return [f"{m['type']} {m['state']}" if "state" in m else str(m["type"]) for m in self.received]

    def _on_message(self, topic: str, message: dict[str, Any]) -> None:
        self.mac = topic.rsplit("/", 1)[1]
        self.received.append(message)
        kind = message["type"], message.get("state")
        if kind[0] == "hello" and self.answers_hello:
            self._hello(message)
        elif kind == ("listen", "start"):
            self.mode = message["mode"]
        elif kind == ("listen", "stop"):
            self._begin_reply()

    def _begin_reply(self) -> None:
        said, self.heard, self.reply_after = self.heard, [], None
        self._greenlets.append(gevent.spawn(self.reply, said))

    def _hello(self, hello: dict[str, Any]) -> None:
        self.hellos += 1
        self.audio = hello["audio_params"]
        cipher = SessionCipher(KEY)
        self.cipher, self.downlink = cipher, DownlinkCipher(cipher, SSRC, self.audio["frame_duration"])
        udp = {"server": "127.0.0.1", "port": self.udp.getsockname()[1], "key": KEY.hex(), "nonce": nonce(SSRC).hex()}
        udp = {"encryption": "aes-128-ctr", **udp, **self.changes}
        if self.before_hello is not None:
            self.send(**self.before_hello)
        answer = {"type": "hello", "transport": "udp", "session_id": self.session_id, "audio_params": self.audio, "udp": udp}
        self.send(**(answer if self.hello_raw is None else self.hello_raw))

    def _receive(self) -> None:
        while True:
            datagram, self.peer = self.udp.recvfrom(2048)
            packet = AudioPacket.decode(datagram)
            self.uplink.append(packet)
            self.heard.append(self.cipher.apply(datagram[:HEADER_SIZE], packet.payload))
            if self.mode != "manual" and len(self.heard) == self.reply_after:
                self._begin_reply()

    def send_audio(self, *payloads: bytes) -> None:
        for datagram in self.downlink.seal(payloads):
            self.udp.sendto(datagram, self.peer)

    def reply(self, payloads: list[bytes]) -> None:
        step = self.audio["frame_duration"] / 1000 * self.pace
        self.send(type="tts", state="start")
        self.send(type="tts", state="sentence_start", text="echo")
        wait_for(self.is_heard)  # MQTT is slower than UDP
        if not self.silent:
            for index, payload in enumerate(payloads):
                if index > HEAD_START:
                    gevent.sleep(step)
                self.send_audio(payload)
            gevent.sleep(HEAD_START * step + 0.1)
        self.send(type="tts", state="stop")


class Bench:
    """A device beside a scripted server. Plain Mosquitto renames nothing and delivers nothing unasked, so the device publishes
    where the front would, and the bench subscribes on its behalf when it has connected."""

    def __init__(self, port: int) -> None:
        self.server = ScriptedServer(port)
        self.events: list[Event] = []
        self.devices: list[Device] = []
        self._port = port

    def device(self, duration: int = 20, **options: Any) -> Device:
        identity = Identity.fresh()
        settings = MqttSettings(f"127.0.0.1:{self._port}", identity.uuid, publish_topic=device_public_topic(identity.mac))
        audio = AudioParams(frame_duration=duration)

        def on_event(event: Event) -> None:
            self.events.append(event)
            if event.name == "mqtt_connected":
                device._link._client.subscribe(device_sub_topic(identity.mac))

        device: Any = Device(identity, mqtt=settings, audio=audio, on_event=on_event, **options)
        self.devices.append(device)
        self.server.is_heard = lambda: device.state is State.SPEAKING
        return device

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def close(self) -> None:
        for device in self.devices:
            device.shutdown()
        self.server.close()
