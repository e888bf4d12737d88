"""The recognizer at an OpenAI-like server, over real HTTP."""

from __future__ import annotations

import contextlib
import io
import ssl
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import gevent.socket
import gevent.ssl
import pytest
from gevent.server import StreamServer

from app.opus.ogg import OggReader
from app.sections import OpenAi
from app.settings import SettingsError
from app.voice.asr.openai import OpenAiOptions, OpenAiRecognizer, iso_639_1
from app.voice.provider import ProviderFault, Workshop
from app.voice.utterance import Utterance
from tests.foreign.certificates import Authority
from tests.shared import packets_of
from tests.voice.asr.http_peer import Answer, HttpPeer, cuts, hangs, http_peer, says, sends

SPOKEN = {"text": " please turn on the light "}
KEY = "sk-secret-1234"


def lamp() -> Utterance:
    return Utterance(tuple(packets_of("lamp.opusp")), 60)


def recognizer(account_url: str, seconds: float = 20.0, **options: Any) -> OpenAiRecognizer:
    return OpenAiRecognizer(
        OpenAiOptions(**options), Workshop(OpenAi(api_key=KEY, base_url=account_url), Path("/nonexistent"), seconds)
    )


@contextlib.contextmanager
def asking(*answers: Answer, seconds: float = 20.0, **options: Any) -> Iterator[tuple[HttpPeer, OpenAiRecognizer]]:
    with http_peer(*answers) as peer:
        made = recognizer(peer.url, seconds, **options)
        try:
            yield peer, made
        finally:
            made.close()


def test_the_utterance_goes_as_ogg_opus_with_its_packets_as_they_are() -> None:
    with asking(says(SPOKEN)) as (peer, made):
        assert made.transcribe(lamp(), "en-GB") == "please turn on the light"
    (request,) = peer.requests
    assert request.path == "/v1/audio/transcriptions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    parts = request.parts()
    name, data = parts.pop("file")
    assert name == "speech.ogg"
    assert OggReader().feed(data) == packets_of("lamp.opusp")
    assert {name: value.decode() for name, (_, value) in parts.items()} == {
        "model": "gpt-4o-mini-transcribe",
        "language": "en",
        "response_format": "json",
    }


def test_a_lost_packet_keeps_its_place() -> None:
    packets = packets_of("lamp.opusp")
    with asking(says(SPOKEN)) as (peer, made):
        made.transcribe(Utterance((*packets[:20], None, *packets[21:]), 60), "en")
    sent = OggReader().feed(peer.requests[0].parts()["file"][1])
    assert len(sent) == len(packets)
    assert sent[:20] == packets[:20]
    assert sent[20] == packets[20][:1]
    assert sent[21:] == packets[21:]


def test_a_server_that_wants_wav_gets_wav_of_the_same_length() -> None:
    packets = packets_of("lamp.opusp")
    with asking(says(SPOKEN), format="wav") as (peer, made):
        made.transcribe(Utterance((*packets[:20], None, *packets[21:]), 60), "en")
    name, data = peer.requests[0].parts()["file"]
    assert name == "speech.wav"
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        assert file.getnframes() == len(packets) * 960


def test_model_and_prompt_are_told_and_the_options_account_goes_before_the_common_one() -> None:
    with http_peer(says(SPOKEN)) as peer:
        made = recognizer("http://127.0.0.1:1/v1", base_url=peer.url, api_key="own", model="whisper-1", prompt="Xiaozhi")
        made.transcribe(lamp(), "zh-CN")
        made.close()
    parts = peer.requests[0].parts()
    assert (parts["model"][1], parts["prompt"][1], parts["language"][1]) == (b"whisper-1", b"Xiaozhi", b"zh")
    assert peer.requests[0].headers["authorization"] == "Bearer own"


def test_the_account_s_key_goes_to_no_other_server() -> None:
    with http_peer(says(SPOKEN)) as peer:
        made = recognizer("http://127.0.0.1:1/v1", base_url=peer.url)
        assert made.transcribe(lamp(), "en") == "please turn on the light"
        made.close()
    assert KEY not in peer.requests[0].headers["authorization"]


@pytest.mark.parametrize(("tag", "letters"), [("zh-CN", "zh"), ("cmn-Hans", "zh"), ("EN", "en"), ("gsw", ""), ("", "")])
def test_a_language_goes_as_iso_639_1_or_not_at_all(tag: str, letters: str) -> None:
    assert iso_639_1(tag) == letters


def test_the_connection_is_kept_between_turns() -> None:
    with asking(says(SPOKEN)) as (peer, made):
        for _ in range(3):
            made.transcribe(lamp(), "en")
    assert [request.connection for request in peer.requests] == [1, 1, 1]


def test_many_at_a_time_each_have_their_answer() -> None:
    with asking(says(SPOKEN)) as (peer, made):
        turns = [gevent.spawn(made.transcribe, lamp(), "en") for _ in range(20)]
        gevent.joinall(turns, raise_error=True)
    assert {turn.value for turn in turns} == {"please turn on the light"}
    assert len(peer.requests) == 20


def test_a_connection_that_breaks_off_is_made_once_again() -> None:
    with asking(cuts, says(SPOKEN)) as (peer, made):
        assert made.transcribe(lamp(), "en") == "please turn on the light"
    assert [request.connection for request in peer.requests] == [1, 2]


def test_a_connection_that_breaks_off_twice_is_a_fault() -> None:
    with asking(cuts) as (peer, made), pytest.raises(ProviderFault, match=r"closed the connection.*voice\.asr\.openai\.base_url"):
        made.transcribe(lamp(), "en")
    assert len(peer.requests) == 2


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "429 Slow Down"])
def test_an_answer_is_an_answer_and_is_not_asked_for_again(status: str) -> None:
    with asking(says({}, status)) as (peer, made), pytest.raises(ProviderFault, match=status[:3]):
        made.transcribe(lamp(), "en")
    assert len(peer.requests) == 1


def test_a_server_that_is_silent_is_given_up_and_not_asked_again() -> None:
    with asking(hangs, seconds=0.3) as (peer, made):
        with pytest.raises(ProviderFault, match=r"in time.*voice\.asr\.timeout_seconds"):
            made.transcribe(lamp(), "en")
        assert peer.was_left.wait(10)
    assert len(peer.requests) == 1


def test_a_killed_greenlet_closes_its_request() -> None:
    with asking(hangs) as (peer, made):
        turn = gevent.spawn(made.transcribe, lamp(), "en")
        assert peer.is_hanging.wait(10)
        assert not peer.was_left.is_set()
        turn.kill()
        assert peer.was_left.wait(10)


def test_after_a_kill_the_next_turn_is_served() -> None:
    with asking(hangs, says(SPOKEN)) as (peer, made):
        turn = gevent.spawn(made.transcribe, lamp(), "en")
        assert peer.is_hanging.wait(10)
        turn.kill()
        assert made.transcribe(lamp(), "en") == "please turn on the light"


def test_a_kill_while_tls_is_agreed_upon_closes_the_connection() -> None:
    begun, left = gevent.event.Event(), gevent.event.Event()

    def serve(sock: Any, _address: object) -> None:
        while sock.recv(4096):
            begun.set()
        left.set()

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    made = recognizer(f"https://127.0.0.1:{server.server_port}/v1")
    turn = gevent.spawn(made.transcribe, lamp(), "en")
    assert begun.wait(10)
    turn.kill()
    assert left.wait(10)
    server.stop(timeout=0)


def test_no_words_are_no_fault() -> None:
    with asking(says({"text": "  "})) as (_, made):
        assert made.transcribe(lamp(), "en") == ""


def test_json_under_a_wrong_content_type_is_read_all_the_same() -> None:
    with asking(says(SPOKEN, content_type="text/plain")) as (_, made):
        assert made.transcribe(lamp(), "en") == "please turn on the light"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            says({"error": {"code": "invalid_api_key", "message": KEY}}, "401 No"),
            r"invalid_api_key\): check OPENAI_API_KEY or voice",
        ),
        (says({}, "403 No"), r"forbids"),
        (
            says({"error": {"code": "model_not_found"}}, "404 No"),
            r"check voice\.asr\.openai\.base_url and voice\.asr\.openai\.model",
        ),
        (says({"error": {"message": "the words were: open sesame"}}, "400 No"), r"refuses the request \(400\)"),
        (says({}, "429 No"), r"no more requests now"),
        (says({}, "502 No"), r"fault of its own \(502\)"),
        (says(b"<html>", content_type="text/html"), r"not one of OpenAI's API.*voice\.asr\.openai\.base_url"),
        (says(b"{nonsense"), r"not one of OpenAI's API"),
        (says(b""), r"not one of OpenAI's API"),
        (says([1]), r"not one of OpenAI's API"),
        (says({"words": 3}), r"not one of OpenAI's API"),
        (sends(b"SSH-2.0-OpenSSH\r\n", then_stays=False), r"voice\.asr\.openai\.base_url"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", then_stays=False), r"voice\.asr\.openai"),
    ],
)
def test_a_fault_is_a_sentence_that_names_the_setting(answer: Answer, sentence: str) -> None:
    with asking(answer) as (_, made), pytest.raises(ProviderFault, match=sentence) as caught:
        made.transcribe(lamp(), "en")
    assert KEY not in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_refused_connection_names_the_server() -> None:
    with gevent.socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(ProviderFault, match=rf"http://127\.0\.0\.1:{port} cannot be reached \(Connection refused\)"):
        recognizer(f"http://127.0.0.1:{port}/v1").transcribe(lamp(), "en")


def test_https_to_a_server_without_tls_says_so() -> None:
    def serve(sock: Any, _address: object) -> None:
        sock.recv(1)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    with pytest.raises(ProviderFault, match="http:// instead of https://"):
        recognizer(f"https://127.0.0.1:{server.server_port}/v1").transcribe(lamp(), "en")
    server.stop(timeout=0)


def test_a_certificate_that_is_not_trusted_is_a_fault_and_not_tried_again(tmp_path: Path) -> None:
    certificate = Authority(tmp_path).sign("localhost")
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.pem, certificate.key)
    connections = []

    def serve(sock: Any, _address: object) -> None:
        connections.append(sock)
        with contextlib.suppress(OSError):
            context.wrap_socket(sock, server_side=True)

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    with pytest.raises(ProviderFault, match=r"is not trusted \(.*SSL_CERT_FILE"):
        recognizer(f"https://127.0.0.1:{server.server_port}/v1").transcribe(lamp(), "en")
    server.stop(timeout=0)
    assert len(connections) == 1


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_peer(says(SPOKEN)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "")
        assert recognizer("http://whisper.example/v1").transcribe(lamp(), "en") == "please turn on the light"
    assert proxy.requests[0].path == "http://whisper.example/v1/audio/transcriptions"


def test_what_is_secret_in_an_address_is_not_told() -> None:
    with http_peer(says({}, "500 No")) as peer, pytest.raises(ProviderFault) as caught:
        recognizer(peer.url.replace("//", "//me:hidden@")).transcribe(lamp(), "en")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("account", "options", "sentence"),
    [
        (OpenAi(), {}, "OPENAI_API_KEY or voice.asr.openai.api_key"),
        (OpenAi(api_key="clé"), {}, "voice.asr.openai.api_key or OPENAI_API_KEY"),
        (OpenAi(api_key="k"), {"base_url": "localhost:8000/v1"}, "voice.asr.openai.base_url or OPENAI_BASE_URL"),
        (OpenAi(api_key="k"), {"base_url": "http://host:99999/v1"}, "voice.asr.openai.base_url or OPENAI_BASE_URL"),
    ],
)
def test_an_account_that_cannot_be_used_stops_the_start(account: OpenAi, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        OpenAiRecognizer(OpenAiOptions(**options), Workshop(account, Path("/nonexistent"), 5))


def test_a_server_that_needs_no_key_is_asked_without_one() -> None:
    with http_peer(says(SPOKEN)) as peer:
        made = OpenAiRecognizer(OpenAiOptions(), Workshop(OpenAi(base_url=peer.url), Path("/nonexistent"), 20))
        assert made.transcribe(lamp(), "en") == "please turn on the light"
        made.close()
