"""What was seen of one process from outside, as plain values. Lengths in seconds and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Frame(NamedTuple):
    """One line of a stack; `file` as the interpreter knows it."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread over all samples."""

    tid: int
    name: str
    frames: Sequence[Frame]
    """The stack that was seen most often, innermost first."""
    samples: int
    """In how many samples it was seen."""
    same: int
    """In how many of those it had this very stack, line by line."""
    site: Frame | None = None
    """The innermost line of the application that most samples have, inside the event loop."""
    at_site: int = 0
    """How many samples have exactly this line on the stack; fewer where it moves about in it."""
    has_gil: int = 0
    """In how many samples it had the interpreter's lock."""
    cpu_s: float = 0.0
    """CPU time that it used while it was looked at."""
    ready_s: float = 0.0
    """For how long it could have run meanwhile, and had no core."""
    call: str = ""
    """The system call that it was in last (`futex`, `recvfrom`); empty if it ran, or unreadable."""
    fds: Sequence[int] = ()
    """File descriptors that this call waits for; all that it has, for a free event loop."""

    @property
    def stuck(self) -> bool:
        """Return whether it did not move at all while it was looked at."""
        return self.samples > 1 and self.same == self.samples


@dataclass(frozen=True, slots=True)
class Socket:
    """One TCP connection, or an attempt at one."""

    fd: int
    local: str
    local_port: int
    remote: str
    remote_port: int
    state: str
    """As `ss` names it: `ESTABLISHED`, `SYN_SENT`, `CLOSE_WAIT`."""
    unsent: int
    """Bytes written that the other side has not acknowledged."""
    unread: int
    """Bytes received that the process has not read."""
    incoming: bool
    """Whether the other side connected: it is a client of this process."""
    sent_ago_s: float | None = None
    """When data was sent last; None where the kernel did not tell."""
    received_ago_s: float | None = None
    sent_bytes: int | None = None
    """Acknowledged since it was opened; the handshake may count as one."""
    received_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that takes connections."""

    address: str
    port: int
    waiting: int
    """Connections that nobody has accepted yet."""
    room: int | None = None
    """How many of them the kernel keeps; None where it did not tell."""


@dataclass(frozen=True, slots=True)
class Child:
    """A Python process that this one started."""

    pid: int
    command: str


@dataclass(frozen=True, slots=True)
class Facts:
    """A process as the kernel describes it."""

    pid: int
    command: str
    state: str
    """One letter, as in `ps`: R runs, S sleeps, D waits for a disk, T is stopped."""
    age_s: float
    window_s: float
    """For how long it was looked at."""
    cpu_s: float
    """CPU time that it used meanwhile, all threads."""
    throttled_s: float | None
    """For how long its quota kept it (or others of its cgroup) from running; None: not known."""
    rss_bytes: int
    memory_limit_bytes: int | None
    """Of its cgroup; None without a limit, or where it can't be read."""
    major_faults: int
    """Pages that had to come from disk meanwhile."""
    fds: int
    fd_limit: int | None
    children: Sequence[Child] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """Everything seen of one process."""

    facts: Facts
    samples: int
    """How many times its stacks could be read."""
    threads: Sequence[Thread]
    """The main thread first."""
    sockets: Sequence[Socket]
    listeners: Sequence[Listener]
    unix: Sequence[str] = ()
    """Paths of UNIX sockets on which it takes connections: nobody can see who waits there."""
    unseen: Sequence[str] = ()
    """What could not be read, and what would help, for people."""
