"""What is seen, and which cause that may be, as a table. The first row that sees something wins.

Causes are those of `causes.py`; where the taxonomy has none, a row brings a title of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from why504.diagnose.causes import UNKNOWN
from why504.diagnose.hung import stacks
from why504.diagnose.hung.fold import MOST_SHARE
from why504.diagnose.hung.known import name_of, peer_at
from why504.diagnose.hung.scene import Doing, Scene, alike
from why504.diagnose.hung.snapshot import Frame
from why504.diagnose.starvation import FAULTS_PER_S, FULL_SHARE, STARVED_SHARE

THREADS_OF_ANYIO: Final = 40
"""How many `def` endpoints AnyIO runs at once, unless somebody changed it."""
OF_PEERS: Final = {
    "broker": ("F1",),
    "llm": ("B3", "B2"),
    "db": ("A2b", "A2a"),
    "http": ("D1", "B3"),
    "cache": ("D1",),
}
"""Kind of peer -> causes that look like this from outside, the likelier first."""


class Sighting(NamedTuple):
    """What a row saw."""

    causes: Sequence[str]
    """Ids, the likeliest first; only `UNKNOWN` where the taxonomy has no name for it."""
    sentence: str
    site: Frame | None = None
    proof: Sequence[str] = ()
    doubt: Sequence[str] = ()
    title: str = ""
    """Its name, where the taxonomy has none."""
    advice: Sequence[str] = ()
    """What to do, where the taxonomy has no advice."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row."""

    name: str
    sees: Callable[[Scene], Sighting | None]


def at(site: Frame | None) -> str:
    """Return a line for a sentence: ` at app.py:12`; nothing where none is known."""
    return f" at {stacks.place(site)}" if site else ""


def _stopped(scene: Scene) -> Sighting | None:
    if scene.look.facts.state not in ("T", "t"):
        return None
    return Sighting(
        (UNKNOWN,),
        "the process is stopped by a signal or a debugger: nothing in it runs until SIGCONT",
        proof=[f"the kernel says so: state {scene.look.facts.state}"],
        title="Stopped",
        advice=[f"Let it run on: kill -CONT {scene.look.facts.pid}. Find out who stopped it."],
    )


def _starved(scene: Scene) -> Sighting | None:
    facts = scene.look.facts
    ready_s = sum(thread.ready_s for thread in scene.look.threads)
    wanted_s = ready_s + facts.cpu_s
    throttled = scene.share(facts.throttled_s or 0.0)
    queued = ready_s / wanted_s if wanted_s else 0.0
    if throttled < STARVED_SHARE and not (
        queued >= STARVED_SHARE and scene.share(ready_s) >= STARVED_SHARE
    ):
        return None
    proof = [f"its threads were ready for {ready_s:.1f} s and ran for {facts.cpu_s:.1f} s"]
    if facts.throttled_s:
        proof.append(f"its CPU quota kept its cgroup from running for {facts.throttled_s:.1f} s")
    said = "the process is ready to run and gets no core"
    greedy = max(scene.doings, key=lambda doing: scene.wants(doing.thread), default=None)
    if greedy is None or greedy.thread.site is None or scene.wants(greedy.thread) < MOST_SHARE:
        return Sighting(("E1",), said, proof=proof)
    # One endless computation and too many small ones are both starved: the latter get answered.
    causes = ("E1", "A3") if scene.answers else ("A3", "E1")
    answers = "still" if scene.answers else "not"
    return Sighting(
        causes,
        f"{said}; whenever it has one, it computes{at(greedy.site)}",
        greedy.site,
        [*proof, f"it does {answers} answer clients meanwhile"],
    )


def _thrashes(scene: Scene) -> Sighting | None:
    facts = scene.look.facts
    limit = facts.memory_limit_bytes
    if not limit or facts.rss_bytes < limit * FULL_SHARE:
        return None
    if facts.major_faults < FAULTS_PER_S * facts.window_s:
        return None
    return Sighting(
        ("C1",),
        "the process is busy with its memory, not with requests",
        proof=[f"{facts.major_faults} pages came back from disk in {facts.window_s:.1f} s, and "
               f"its memory is {facts.rss_bytes / limit:.0%} full"],
    )  # fmt: skip


def _gil(scene: Scene) -> Sighting | None:
    for doing in scene.doings:
        thread = doing.thread
        waits = thread.stuck and doing.kind != "computes" and thread.call not in ("", "futex")
        if waits and thread.has_gil == thread.samples:
            return Sighting(
                ("B1",) if doing in scene.loops else (UNKNOWN,),
                f"C code called{at(doing.site)} waits in {thread.call} and keeps the "
                "interpreter's lock (GIL): no other thread can run",
                doing.site,
                proof=[f"it had the lock in all {thread.samples} samples"],
                title="A wait that keeps the interpreter's lock",
                advice=["Call it in a process of its own, or mend the extension: it has to "
                        "release the GIL around what waits."],
            )  # fmt: skip
    return None


def _loop(scene: Scene) -> Sighting | None:
    """A loop that does not turn is judged as the engine judges a stall."""
    for doing in scene.loops:
        thread = doing.thread
        if doing.kind == "free" or thread.samples < 2 or thread.site is None:
            continue
        if doing.kind == "computes":
            return _computes(doing, "on the event loop: nothing else can run meanwhile")
        if thread.at_site < thread.samples:
            continue
        if doing.peer == "broker":
            cause, what = "F1", "a call to the message broker blocks the event loop"
        else:
            cause, what = "B1", "a blocking call holds the event loop"
        proof = [f"the loop's thread was at this line in all {thread.samples} samples"]
        proof.append("it did not move at all" if thread.stuck else "it moved inside this call")
        return Sighting(
            (cause,),
            f"{what}{at(doing.site)}: it {doing.words}",
            doing.site,
            [*proof, f"meanwhile its thread used {scene.share(thread.cpu_s):.0%} of a core"],
        )
    return None


def _computes(doing: Doing, why: str) -> Sighting:
    thread = doing.thread
    moves = thread.site is not None and thread.site != thread.frames[0]
    return Sighting(
        ("A3",),
        f"it computes{at(doing.site)} {why}",
        doing.site,
        [doing.words, f"in {thread.at_site} of {thread.samples} samples it was at this very line"],
        ["it calls other functions from there: many small requests would look alike"]
        if moves
        else (),
    )


def _pool(scene: Scene) -> Sighting | None:
    waiting = [doing for doing in scene.workers if doing.kind == "pool"]
    if not waiting or len(waiting) * 2 < len(scene.workers):
        return None
    holders = [doing for doing in scene.workers if doing.kind != "pool"]
    what = f"{_threads(len(waiting))} for a connection of a pool{at(waiting[0].site)}"
    if not holders:
        return Sighting(
            ("A1a", "A1c"),
            f"{what}, and no thread is seen that uses one: leaked, or each waits for a second one",
            waiting[0].site,
            [f"all {len(waiting)} busy threads wait in the pool"],
            ["from outside nobody can tell who took the connections"],
        )
    count, holder = alike(holders)[0]
    return Sighting(
        OF_PEERS.get(holder.peer, ("A1b",)),
        f"{what}; {count} other, which may have the connections, {holder.words}{at(holder.site)}",
        holder.site,
        [f"{len(waiting)} of {len(scene.workers)} busy threads wait in the pool"],
        ["that these threads have the connections is likely, not seen"],
    )


def _locks(scene: Scene) -> Sighting | None:
    waiting = [doing for doing in scene.workers if doing.kind == "lock"]
    if len(waiting) < 2 or len(waiting) < len(scene.workers):
        return None
    places = list(dict.fromkeys(stacks.place(one.site) for one in waiting if one.site))
    return Sighting(
        (UNKNOWN,),
        f"{_threads(len(waiting))} for locks ({', '.join(places[:4])}), and no thread runs "
        "that could give one back: a deadlock",
        waiting[0].site,
        ["none of them moved, and the process used next to no CPU"],
        ["a C queue (`SimpleQueue.get`) looks the same from outside"],
        title="Threads that wait for each other's locks",
        advice=[
            "Only a restart ends a deadlock. Save this report first.",
            "Take the locks in the same order everywhere, or with a timeout: "
            "`lock.acquire(timeout=5)`.",
        ],
    )


def _peers(*kinds: str) -> Callable[[Scene], Sighting | None]:
    def sees(scene: Scene) -> Sighting | None:
        for kind in kinds:
            mine = [doing for doing in scene.workers if doing.peer == kind]
            if mine and len(mine) * 2 >= len(scene.workers) and mine[0].thread.samples > 1:
                count, first = alike(mine)[0]
                stuck = sum(doing.thread.stuck for doing in mine)
                return Sighting(
                    OF_PEERS[kind],
                    f"{_threads(count)} at the same place{at(first.site)}: it {first.words}",
                    first.site,
                    [f"{len(mine)} of {len(scene.workers)} busy threads are in a call to such a "
                     f"peer, {stuck} of them did not move at all"],
                )  # fmt: skip
        return None

    return sees


def _busy_thread(scene: Scene) -> Sighting | None:
    rows = [one for one in scene.workers if one.kind == "computes" and one.thread.site]
    if not rows:
        return None
    hottest = max(rows, key=lambda doing: doing.thread.cpu_s)
    return _computes(hottest, "in a thread: one thread of Python runs at a time")


def _threads_taken(scene: Scene) -> Sighting | None:
    taken = [doing for doing in scene.workers if doing.thread.name.startswith("AnyIO")]
    if len(taken) < THREADS_OF_ANYIO:
        return None
    count, first = alike(taken)[0]
    return Sighting(
        ("C2",),
        f"all {len(taken)} threads of the pool are taken, {count} of them{at(first.site)}: "
        f"each {first.words}",
        first.site,
        [f"AnyIO has {THREADS_OF_ANYIO} threads for `def` endpoints unless told otherwise, "
         f"and {len(taken)} are busy", "the event loop itself is free"],
    )  # fmt: skip


def _awaits(scene: Scene) -> Sighting | None:
    """Nothing blocks, and clients wait: coroutines do, which can't be seen from outside."""
    if not scene.unanswered or not scene.owing:
        return None
    kinds = [peer_at(socket).kind for socket in scene.owing]
    kind = max((kind for kind in OF_PEERS if kind in kinds), key=kinds.count, default="")
    if not kind:
        return None
    mine = [socket for socket in scene.owing if peer_at(socket).kind == kind]
    return Sighting(
        OF_PEERS[kind],
        f"{len(mine)} of its connections wait for {name_of(mine[0])}, and clients wait "
        "for this process; the event loop is free",
        proof=[f"{len(scene.unanswered)} clients asked and have no answer"],
        doubt=["which coroutine waits for which connection can't be seen from outside"],
    )


def _idle(scene: Scene) -> Sighting | None:
    if scene.workers or any(loop.busy for loop in scene.loops) or scene.unanswered:
        return None
    main = scene.doings[0] if scene.doings else None
    if main is None or (main.busy and main.site and main.kind != "waits"):
        return None
    if not scene.tells_idleness or any(one.waiting for one in scene.look.listeners):
        return None
    if scene.look.facts.children:
        said = f"this process only looks after {len(scene.look.facts.children)} others"
        return Sighting(("N0",), f"{said}: they do the work", advice=["Look at those: --children"])
    return Sighting(
        ("N0",),
        "this process is idle: no request is in it, so it is not what hangs",
        proof=["its threads wait for work", "no client waits for an answer of it"],
        advice=["Look at what is before it: does the gateway reach this process, and this port?"],
    )


def _threads(count: int) -> str:
    return "1 thread waits" if count == 1 else f"{count} threads wait"


RULES: Final = (
    Rule("stopped", _stopped),
    Rule("starved", _starved),
    Rule("thrashes", _thrashes),
    Rule("keeps the interpreter", _gil),
    Rule("blocks the loop", _loop),
    Rule("waits in a pool", _pool),
    Rule("deadlock", _locks),
    Rule("calls a peer", _peers("broker", "llm", "db")),
    Rule("computes in a thread", _busy_thread),
    Rule("takes all threads", _threads_taken),
    Rule("calls an API", _peers("http", "cache")),
    Rule("awaits a peer", _awaits),
    Rule("idle", _idle),
)
"""Rows from the particular to the general, in the order of the taxonomy."""
