"""The real server behind a proxy: which of its headers are believed, and which addresses devices are told."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gevent
import pytest

from app import trust
from tests.foreign.certificates import Authority
from tests.proxy.scripted_proxy import FORWARDED, ScriptedProxy
from tests.system.running_server import RunningServer

DEVICE = {"Device-Id": "aa:bb:cc:dd:ee:ff", "Client-Id": "7b94d69a-9808-4c59-9c9b-704333b38aff"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def suspicious(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that trusts no proxy of this machine."""
    config = {"websocket": {"trusted_proxies": ["10.9.9.9/32"]}}
    with RunningServer(tmp_path_factory.mktemp("suspicious"), config=config) as running:
        yield running


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("trusting")) as running:
        yield running


@contextlib.contextmanager
def proxied(
    server: RunningServer, authority: Authority | None, headers: Mapping[str, str] = FORWARDED
) -> Iterator[ScriptedProxy]:
    proxy = ScriptedProxy(server.http_port, headers, authority.sign("proxy") if authority else None)
    yield proxy
    proxy.stop()


def told(proxy: ScriptedProxy, ca: Path | None, host: str = "voice.example.org", **headers: str) -> dict[str, Any]:
    """OTA's answer to a device that asked the proxy."""

    def ask() -> dict[str, Any]:
        connection = (
            http.client.HTTPSConnection("localhost", proxy.port, context=trust.trusting(ca), timeout=20)
            if ca
            else http.client.HTTPConnection("localhost", proxy.port, timeout=20)
        )
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", "/xiaozhi/ota/", "{}", {**DEVICE, "Host": host, **extra})
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        assert response.status == 200, answer
        connection.close()
        return answer

    # In a thread: this process's hub has the proxy to run meanwhile.
    result: dict[str, Any] = gevent.get_hub().threadpool.apply(ask)
    return result


def address_in(answer: dict[str, Any]) -> str:
    """The client's address, as it is in the signed username."""
    address: str = json.loads(base64.b64decode(answer["mqtt"]["username"]))["ip"]
    return address


def test_https_outside_is_told_wss_and_the_host_that_the_device_knows(trusting: RunningServer, authority: Authority) -> None:
    with proxied(trusting, authority) as proxy:
        answer = told(proxy, authority.ca, "voice.example.org:8443")
    assert answer["websocket"]["url"] == "wss://voice.example.org:8443/xiaozhi/v1/"
    assert answer["mqtt"]["endpoint"] == f"voice.example.org:{trusting.mqtt_port}"


def test_the_page_for_people_names_the_https_address(trusting: RunningServer) -> None:
    with proxied(trusting, None, {**FORWARDED, "X-Forwarded-Host": "voice.example.org"}) as proxy:

        def page() -> str:
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
            connection.request("GET", "/xiaozhi/ota/")
            return connection.getresponse().read().decode()

        assert "https://voice.example.org/xiaozhi/ota/" in gevent.get_hub().threadpool.apply(page)


def test_of_a_chain_the_last_hop_that_is_no_proxy_of_ours_is_the_client(trusting: RunningServer) -> None:
    with proxied(trusting, None) as proxy:
        answer = told(proxy, None, X_Forwarded_For="198.51.100.1, 203.0.113.7, 127.0.0.1")
    assert address_in(answer) == "203.0.113.7"


@pytest.mark.parametrize("forged", ["nonsense", "", "203.0.113.7, nonsense", "203.0.113.7,,", "1.2.3.4:99999"])
def test_a_forged_chain_names_nobody_but_who_the_proxy_saw(trusting: RunningServer, forged: str) -> None:
    with proxied(trusting, None) as proxy:
        assert address_in(told(proxy, None, X_Forwarded_For=forged)) == "127.0.0.1"


def test_a_chain_of_two_proxies_is_followed(trusting: RunningServer) -> None:
    with proxied(trusting, None) as inner:
        outer = ScriptedProxy(inner.port, {**FORWARDED, "X-Forwarded-For": "203.0.113.7"})
        try:
            answer = told(outer, None)
        finally:
            outer.stop()
    assert address_in(answer) == "203.0.113.7"


def test_a_proxy_that_is_not_trusted_is_not_believed(suspicious: RunningServer, authority: Authority) -> None:
    with proxied(suspicious, authority, {**FORWARDED, "Host": "{host}"}) as proxy:
        answer = told(proxy, authority.ca, X_Forwarded_For="203.0.113.7", X_Forwarded_Host="evil.example")
    assert answer["websocket"]["url"] == "ws://voice.example.org/xiaozhi/v1/"
    assert address_in(answer) == "127.0.0.1"


def test_a_forwarded_host_that_is_none_is_refused_with_a_sentence(trusting: RunningServer) -> None:
    with proxied(trusting, None, {**FORWARDED, "X-Forwarded-Host": "a b"}) as proxy, pytest.raises(AssertionError, match="Host"):
        told(proxy, None)
