"""What the kernel says of this machine, its processes and its sockets. Linux only: everything comes from /proc."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Machine:
    """In general terms: what a reader needs to compare figures."""

    cores: int
    processor: str
    virtual: bool
    kernel: str
    python: str
    load_before: float

    def __str__(self) -> str:
        kind = " of a virtual machine" if self.virtual else ""
        return (
            f"{self.cores} cores{kind} ({self.processor}), Linux {self.kernel}, Python {self.python}, load {self.load_before:.2f}"
        )

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def describe() -> Machine:
    """This machine, now."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=fields.get("model name", platform.machine()),
        virtual="hypervisor" in fields.get("flags", ""),
        kernel=platform.release().split("-")[0],
        python=platform.python_version(),
        load_before=os.getloadavg()[0],
    )


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the server's worker gets, and which one everybody else. The same one where there is only one."""

    server: int
    load: int

    @classmethod
    def choose(cls) -> Cores:
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[0], allowed[1 % len(allowed)])


def pin(pid: int, core: int) -> None:
    """Keeps every thread of ``pid`` on ``core``; 0 is this process."""
    for task in os.listdir(f"/proc/{pid or 'self'}/task"):
        os.sched_setaffinity(int(task), {core})


def cpu_seconds(pid: int) -> float:
    """CPU time of a process since its start, all threads, user and system. Resolution: one tick, 10 ms."""
    return sum(map(int, _stat(pid)[11:13])) / TICKS


def busy_seconds(core: int) -> float:
    """Time that a core has been busy, whoever with; time that the hypervisor took from it counts too."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS
    raise LookupError(f"/proc/stat knows no core {core}")


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def children(parent: int) -> list[int]:
    """The processes whose parent is ``parent``."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if int(_stat(int(entry))[1]) == parent:
                    found.append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
    return found


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


@dataclass(frozen=True, slots=True)
class SocketQueue:
    """``waiting``: bytes as the kernel accounts them; ``drops``: datagrams thrown away since the socket was opened."""

    waiting: int
    drops: int


def udp_queue(port: int) -> SocketQueue:
    """The receive queue of the IPv4 UDP socket bound to ``port``: looked at from outside, without the server's doing."""
    wanted = f":{port:04X}"
    with open("/proc/net/udp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[2].endswith(":0000"):
                return SocketQueue(int(fields[4].split(":")[1], 16), int(fields[12]))
    raise LookupError(f"no UDP socket is bound to port {port}")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third (state) on: the second may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
