"""OTA requests a second on one core: the CPU time that the worker spends on each, with connections kept and with fresh ones."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

BODY = (
    b'{"version":2,"language":"zh-CN","flash_size":16777216,"minimum_free_heap_size":"8457848","mac_address":"%s",'
    b'"chip_model_name":"esp32s3","application":{"name":"xiaozhi","version":"1.0.1","compile_time":"Aug 1 2025T12:00:00Z"},'
    b'"board":{"type":"bread-compact-wifi","ssid":"home","rssi":-55,"channel":1,"ip":"192.168.1.11"}}'
)


def request(number: int, keep: bool) -> bytes:
    """What a device posts."""
    mac = b"02:00:00:%02x:%02x:%02x" % (number >> 16 & 255, number >> 8 & 255, number & 255)
    body = BODY % mac
    return (
        b"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: 127.0.0.1\r\nDevice-Id: %s\r\nClient-Id: 7b94d69a-9808-4c59-9c9b-704333b38aff\r\n"
        b"User-Agent: bread-compact-wifi/1.0.1\r\nAccept-Language: zh-CN\r\nActivation-Version: 1\r\n"
        b"Content-Type: application/json\r\nConnection: %s\r\nContent-Length: %d\r\n\r\n%s"
        % (mac, b"keep-alive" if keep else b"close", len(body), body)
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one(connection: socket.socket, message: bytes) -> None:
    """One request and its whole answer."""
    connection.sendall(message)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += _more(connection)
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(head.decode())


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise SystemExit("the server closed the connection")
    return data


def measure(port: int, pid: int, requests: int, devices: int, keep: bool) -> float:
    """Requests that one core would answer in a second."""
    connection = None
    before = cpu_seconds(pid)
    for number in range(requests):
        if connection is None:
            connection = socket.create_connection(("127.0.0.1", port))
        one(connection, request(number % devices, keep))
        if not keep:
            connection.close()
            connection = None
    return requests / (cpu_seconds(pid) - before)


def main() -> None:
    """``python -m benchmarks.ota PORT WORKER_PID [REQUESTS]``, against a running server."""
    port, pid = int(sys.argv[1]), int(sys.argv[2])
    requests = int(sys.argv[3]) if len(sys.argv) > 3 else 5000
    for devices, what in ((requests, "devices never seen before"), (1000, "known devices")):
        for keep in (True, False):
            rate = measure(port, pid, requests, devices, keep)
            print(f"{what}, connections {'kept' if keep else 'fresh'}: {rate:.0f} requests a second on one core")


if __name__ == "__main__":
    main()
