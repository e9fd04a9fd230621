"""A look with what follows from it: whose loop, who is busy, with what, and who owes an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from why504.diagnose.hung import stacks
from why504.diagnose.hung.known import name_of, peer_at
from why504.diagnose.hung.snapshot import Frame, Listener, Look, Socket, Thread

COMPUTES_SHARE: Final = 0.5
"""A thread that uses this share of a core computes, as in the engine."""
_STILL_SHARE: Final = 0.05
_SLEEPS: Final = frozenset({"sleep", "nanosleep", "clock_nanosleep"})
_OWED_S: Final = 1.0
"""What was asked a shorter while ago is no hang."""


@dataclass(frozen=True)
class Doing:
    """What one thread is about."""

    thread: Thread
    kind: str
    """free (an event loop), rests (no work), computes, pool, lock, sleeps, calls, waits."""
    peer: str
    """Kind of the peer that it calls, by library or else by port; empty if none is known."""
    words: str
    """For people: `waits in recvfrom for PostgreSQL 10.0.0.3:5432`."""
    site: Frame | None

    @property
    def busy(self) -> bool:
        """Return whether it has work, or holds some up."""
        return self.kind not in ("free", "rests")


class Scene:
    """One look, with everything derived once."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self._by_fd = {socket.fd: socket for socket in look.sockets}

    @cached_property
    def doings(self) -> Sequence[Doing]:
        """What each thread is about; the main thread first."""
        return [self._doing(thread) for thread in self.look.threads]

    @cached_property
    def loops(self) -> Sequence[Doing]:
        """Threads in which an event loop turns."""
        return [doing for doing in self.doings if stacks.runs_loop(doing.thread.frames)]

    @cached_property
    def workers(self) -> Sequence[Doing]:
        """Threads that are busy outside any loop; a thread of its own that rests is none."""
        rests = {"sleeps", "waits", "calls"} if self._serves_nobody else {"sleeps", "waits"}
        rows = (doing for doing in self.doings if doing.busy and doing not in self.loops)
        return [
            doing
            for doing in rows
            if doing.kind not in rests or stacks.is_worker(doing.thread.frames)
        ]

    @cached_property
    def unanswered(self) -> Sequence[Socket]:
        """Clients whose latest bytes are newer than our latest answer, the oldest first."""
        rows = (socket for socket in self.look.sockets if socket.incoming and _is_newer(socket))
        return sorted(rows, key=lambda socket: -(socket.received_ago_s or 0.0))

    @cached_property
    def owing(self) -> Sequence[Socket]:
        """Peers that owe us something: a handshake, an acknowledgement, or an answer."""
        return [socket for socket in self.look.sockets if not socket.incoming and _owes(socket)]

    @cached_property
    def full(self) -> Sequence[Listener]:
        """Listeners whose queue is full: the kernel refuses further clients."""
        return [
            one for one in self.look.listeners if one.room is not None and one.waiting > one.room
        ]

    @property
    def tells_idleness(self) -> bool:
        """Return whether the kernel told when connections were used last."""
        clients = [one for one in self.look.sockets if one.incoming]
        return not self.look.unix and all(one.received_ago_s is not None for one in clients)

    @property
    def answers(self) -> bool:
        """Return whether a client was sent something while the process was looked at."""
        window_s = self.look.facts.window_s
        clients = (one for one in self.look.sockets if one.incoming)
        return any(one.sent_ago_s is not None and one.sent_ago_s < window_s for one in clients)

    def wants(self, thread: Thread) -> float:
        """Return for what part of the look a thread ran, or would have with a core."""
        return self.share(thread.cpu_s + thread.ready_s)

    @property
    def _serves_nobody(self) -> bool:
        """Return whether it could serve and nobody waits: a call in the background is no hang."""
        free = bool(self.loops) and not any(loop.busy for loop in self.loops)
        return free and self.tells_idleness and bool(self.look.listeners) and not self.unanswered

    def share(self, seconds: float) -> float:
        """Return what part of the look some seconds are."""
        return seconds / self.look.facts.window_s if self.look.facts.window_s > 0 else 0.0

    def sockets_of(self, thread: Thread) -> Sequence[Socket]:
        """Return the connections that a thread's system call waits for."""
        return [self._by_fd[fd] for fd in thread.fds if fd in self._by_fd]

    def _doing(self, thread: Thread) -> Doing:
        frames = thread.frames
        site = thread.site or stacks.line_of(stacks.inside_loop(frames))
        waits_for = self.sockets_of(thread)
        peer = stacks.peer_inside(frames) or next((peer_at(one).kind for one in waits_for), "")
        kind = self._kind(thread, peer)
        peer = peer if kind in ("calls", "waits", "sleeps", "computes", "pool") else ""
        return Doing(thread, kind, peer, self._words(thread, kind, waits_for), site)

    def _kind(self, thread: Thread, peer: str) -> str:
        frames = thread.frames
        rows = (
            ("rests", not frames),
            ("computes", self.share(thread.cpu_s) >= COMPUTES_SHARE),
            ("free", stacks.runs_loop(frames) and stacks.loop_is_free(frames, thread.call)),
            ("rests", stacks.waits_for_work(frames) or self._is_of_a_library(thread)),
            ("pool", stacks.waits_in_pool(frames)),
            ("lock", self._waits_for_lock(thread)),
            ("sleeps", thread.call in _SLEEPS),
            ("calls", bool(peer or thread.fds)),
        )
        return next((kind for kind, is_so in rows if is_so), "waits")

    def _is_of_a_library(self, thread: Thread) -> bool:
        """A thread that a library started for itself, such as one that exports telemetry."""
        frames = thread.frames
        serves = stacks.is_worker(frames) or stacks.runs_loop(frames)
        main = thread.tid == self.look.facts.pid
        return not main and not serves and stacks.own_line(frames) is None

    def _waits_for_lock(self, thread: Thread) -> bool:
        """A C lock leaves no frame: its caller is innermost, and the thread is in a futex.

        Who waits for the interpreter's own lock is in a futex too, but then somebody computes.
        """
        if thread.call != "futex" or not thread.stuck or not thread.frames:
            return False
        if self.share(self.look.facts.cpu_s) > _STILL_SHARE:
            return False
        inner = thread.frames[0]
        return stacks.is_own(inner) or inner.function.rpartition(".")[2] in ("acquire", "__enter__")

    def _words(self, thread: Thread, kind: str, waits_for: Sequence[Socket]) -> str:
        said = {
            "free": "the event loop is free: it waits for events",
            "rests": "waits for work",
            "computes": f"computes: {self.share(thread.cpu_s):.0%} of a core",
            "pool": "waits for a connection of a pool",
            "lock": "waits for a lock",
            "sleeps": "sleeps",
        }.get(kind)
        if kind == "rests" and self._is_of_a_library(thread):
            return "a library's own thread"
        if said:
            return said
        if stacks.asks_for_a_name(thread.frames):
            return "waits for a name server (DNS)"
        if waits_for:
            named = ", ".join(sorted({name_of(one) for one in waits_for})[:3])
            return f"waits in {thread.call} for {named}"
        return f"waits in {thread.call}" if thread.call else "runs"


def alike(doings: Sequence[Doing]) -> list[tuple[int, Doing]]:
    """Return threads with equal stacks as one, with their number, most first."""
    keys = [(tuple(doing.thread.frames), doing.kind) for doing in doings]
    counts = Counter(keys)
    first: dict[object, Doing] = {}
    for key, doing in zip(keys, doings, strict=True):
        first.setdefault(key, doing)
    return [(count, first[key]) for key, count in counts.most_common()]


def _is_newer(socket: Socket) -> bool:
    """Return whether a client asked after our last answer to it, and a second ago or more."""
    if socket.state not in ("ESTABLISHED", "CLOSE_WAIT"):
        return False
    if socket.received_ago_s is None or socket.sent_ago_s is None:
        return socket.unread > 0
    if not socket.received_bytes or socket.received_ago_s < _OWED_S:
        return False
    # Both clocks may show the same tick, if the first request came at once.
    never_answered = socket.sent_bytes is not None and socket.sent_bytes <= 1
    return never_answered or socket.unread > 0 or socket.received_ago_s < socket.sent_ago_s


def _owes(socket: Socket) -> bool:
    if socket.state == "SYN_SENT" or socket.unsent:
        return True
    if socket.state != "ESTABLISHED" or peer_at(socket).kind in ("broker", "telemetry"):
        return False  # who publishes is often sent nothing back
    if socket.received_ago_s is None or socket.sent_ago_s is None:
        return False
    return socket.sent_ago_s < socket.received_ago_s and socket.sent_ago_s >= _OWED_S
