"""sendmmsg and recvmmsg through ctypes: many datagrams in one system call, so that the load is cheaper than what it loads."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from array import array
from collections.abc import Iterator, Sequence

_LIBC = ctypes.CDLL(None, use_errno=True)
MMSGHDR_SIZE = 64
MMSGHDR_WORDS = MMSGHDR_SIZE // 8
"""On 64-bit Linux: name, namelen, iov, iovlen, control, controllen, flags, msg_len (with their padding)."""
SO_TIMESTAMPNS = 35
MSG_WAITFORONE = 0x10000
CONTROL_SIZE = 64
_TIMESPEC = struct.Struct("=qq")
_CMSG_DATA = 16


class Train:
    """Datagrams prepared for `send`: the kernel reads them where they stand. For a connected socket."""

    def __init__(self, datagrams: Sequence[bytes]) -> None:
        self._data = b"".join(datagrams)
        address = ctypes.cast(ctypes.c_char_p(self._data), ctypes.c_void_p).value or 0
        self._vectors = array("Q")
        for datagram in datagrams:
            self._vectors.append(address)
            self._vectors.append(len(datagram))
            address += len(datagram)
        vectors = self._vectors.buffer_info()[0]
        self._headers = array("Q")
        for index in range(len(datagrams)):
            self._headers.extend((0, 0, vectors + 16 * index, 1, 0, 0, 0, 0))
        self._address = self._headers.buffer_info()[0]
        self._length = len(datagrams)

    def __len__(self) -> int:
        return self._length

    def send(self, descriptor: int, first: int, count: int) -> int:
        """Sends ``count`` datagrams from the one numbered ``first`` on; how many the kernel took. Raises OSError."""
        sent = _LIBC.sendmmsg(descriptor, ctypes.c_void_p(self._address + first * MMSGHDR_SIZE), count, 0)
        if sent < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return int(sent)


class Receiver:
    """Receives many datagrams at a time, each with the time (ns, real-time clock) at which the kernel took it in."""

    def __init__(self, sock: socket.socket, most: int = 256, size: int = 2048) -> None:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._descriptor = sock.fileno()
        self._most = most
        self._size = size
        self._data = ctypes.create_string_buffer(most * size)
        self._control = ctypes.create_string_buffer(most * CONTROL_SIZE)
        data, control = ctypes.addressof(self._data), ctypes.addressof(self._control)
        self._vectors = array("Q")
        for index in range(most):
            self._vectors.extend((data + index * size, size))
        vectors = self._vectors.buffer_info()[0]
        self._template = array("Q")
        for index in range(most):
            self._template.extend((0, 0, vectors + 16 * index, 1, control + index * CONTROL_SIZE, CONTROL_SIZE, 0, 0))
        self._headers = array("Q", self._template)

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """Waits for at least one datagram, as long as the socket's SO_RCVTIMEO; gives (time, datagram). Raises OSError."""
        self._headers[:] = self._template  # the kernel writes the lengths it used into it
        address = ctypes.c_void_p(self._headers.buffer_info()[0])
        count = _LIBC.recvmmsg(self._descriptor, address, self._most, MSG_WAITFORONE, None)
        if count < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        view, control = memoryview(self._data), memoryview(self._control)
        for index in range(count):
            seconds, nanoseconds = _TIMESPEC.unpack_from(control, index * CONTROL_SIZE + _CMSG_DATA)
            length = self._headers[index * MMSGHDR_WORDS + 7] & 0xFFFFFFFF
            start = index * self._size
            yield seconds * 1_000_000_000 + nanoseconds, bytes(view[start : start + length])
