"""The TCP connections of a process, as the kernel sees them in the network that it lives in."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from why504.diagnose.hung.snapshot import Listener, Socket
from why504.watch.hung.proc import Proc

MOST_SOCKETS: Final = 2_000
"""Further connections are not told of."""
_STATES: Final = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2",
    6: "TIME_WAIT", 7: "CLOSE", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING",
}  # fmt: skip
_LISTENING: Final = 1 << 16
"""`__SO_ACCEPTCON`, in the flags of a UNIX socket."""
_ROW: Final = re.compile(
    r"\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2}) "
    r"([0-9A-F]{8}):([0-9A-F]{8}) \S+ \S+ +\d+ +\d+ (\d+)"
)
_PIDFD_GETFD: Final = 438
"""Of every architecture since Linux 5.6."""
_INFO: Final = struct.Struct("=8x16xII12xI4xI64x2Q")
"""`struct tcp_info`: unacked, sacked, last_data_sent, last_data_recv, ... acked, received."""
_INFO_V3: Final = 136


class _Row(NamedTuple):
    local: str
    local_port: int
    remote: str
    remote_port: int
    state: str
    to_send: int
    to_read: int


class Info(NamedTuple):
    """What the kernel knows of one connection; of a listener the first two are its queue."""

    waiting: int
    room: int
    sent_ago_s: float
    received_ago_s: float
    sent_bytes: int
    received_bytes: int


def sockets_of(proc: Proc, fds: Mapping[int, str]) -> tuple[list[Socket], list[Listener], bool]:
    """Return the connections and listeners of a process, and whether their clocks could be read.

    The tables are those of its own network namespace, also from outside of its container.

    Args:
        fds: descriptor -> what it is, as in `/proc/PID/fd`.
    """
    mine = {int(what[8:-1]): fd for fd, what in sorted(fds.items()) if what.startswith("socket:[")}
    rows = [(mine[inode], row) for inode, row in _rows(proc) if inode in mine][:MOST_SOCKETS]
    ports = {row.local_port for _, row in rows if row.state == "LISTEN"}
    infos = _infos(proc.pid, [fd for fd, _ in rows])
    listeners, connections = [], []
    for fd, row in rows:
        info = infos.get(fd)
        if row.state == "LISTEN":
            room = info.room if info else None
            listeners.append(Listener(row.local, row.local_port, row.to_read, room))
        else:
            connections.append(_told(_connection(fd, row, row.local_port in ports), info))
    return connections, listeners, len(infos) == len(rows)


def unix_listeners(proc: Proc, fds: Mapping[int, str]) -> list[str]:
    """Return the paths of UNIX sockets on which a process takes connections."""
    mine = {what[8:-1] for what in fds.values() if what.startswith("socket:[")}
    rows = (line.split(None, 7) for line in proc.text("net/unix").splitlines()[1:])
    listening = [row for row in rows if len(row) == 8 and int(row[3], 16) & _LISTENING]
    return sorted({row[7] for row in listening if row[6] in mine})


def _connection(fd: int, row: _Row, incoming: bool) -> Socket:
    return Socket(
        fd=fd,
        local=row.local,
        local_port=row.local_port,
        remote=row.remote,
        remote_port=row.remote_port,
        state=row.state,
        unsent=row.to_send,
        unread=row.to_read,
        incoming=incoming,
    )


def _told(connection: Socket, info: Info | None) -> Socket:
    if info is None:
        return connection
    return replace(
        connection,
        sent_ago_s=info.sent_ago_s,
        received_ago_s=info.received_ago_s,
        sent_bytes=info.sent_bytes,
        received_bytes=info.received_bytes,
    )


def _rows(proc: Proc) -> Iterator[tuple[int, _Row]]:
    for table in ("net/tcp", "net/tcp6"):
        for line in proc.text(table).splitlines()[1:]:
            found = _ROW.match(line)
            if found is None:
                continue
            local, local_port, remote, remote_port, state, to_send, to_read, inode = found.groups()
            yield (
                int(inode),
                _Row(
                    _address(local),
                    int(local_port, 16),
                    _address(remote),
                    int(remote_port, 16),
                    _STATES.get(int(state, 16), state),
                    int(to_send, 16),
                    int(to_read, 16),
                ),
            )


def _address(hexadecimal: str) -> str:
    """Return an address out of 32-bit words in the machine's own order."""
    words = (int(hexadecimal[i : i + 8], 16) for i in range(0, len(hexadecimal), 8))
    address = ip_address(b"".join(struct.pack("=I", word) for word in words))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _infos(pid: int, fds: list[int]) -> dict[int, Info]:
    """Return `TCP_INFO` of sockets of another process, read through a copy that lives for a moment.

    Reading is all that is done with the copies; it needs the right to trace the process, and works
    across network namespaces, where asking the kernel by netlink does not.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return {}
    try:
        told = ((fd, _info(pidfd, fd)) for fd in fds)
        return {fd: info for fd, info in told if info is not None}
    finally:
        os.close(pidfd)


def _info(pidfd: int, fd: int) -> Info | None:
    copy = ctypes.CDLL(None).syscall(_PIDFD_GETFD, pidfd, fd, 0)
    if copy < 0:
        return None
    try:
        with socket.socket(fileno=copy) as one:
            told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_V3)
    except OSError:
        return None
    return info_in(told)


def info_in(told: bytes) -> Info | None:
    """Return what `struct tcp_info` says; None of a kernel too old to count bytes."""
    if len(told) < _INFO.size:
        return None
    waiting, room, sent_ms, received_ms, sent, received = _INFO.unpack(told[: _INFO.size])
    return Info(waiting, room, sent_ms / 1e3, received_ms / 1e3, sent, received)
