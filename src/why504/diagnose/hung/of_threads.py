"""What keeps threads and coroutines while the event loop is free, or where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from why504.diagnose.causes import UNKNOWN
from why504.diagnose.hung.known import name_of, peer_at
from why504.diagnose.hung.of_process import computes
from why504.diagnose.hung.scene import Scene, alike
from why504.diagnose.hung.sighting import Sighting, at, wait
from why504.diagnose.hung.stacks import place

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


def waits_in_pool(scene: Scene) -> Sighting | None:
    """Most busy threads wait for a connection: the cause is what those do that have them."""
    waiting = [doing for doing in scene.workers if doing.kind == "pool"]
    if not waiting or len(waiting) * 2 < len(scene.workers):
        return None
    holders = [doing for doing in scene.workers if doing.kind != "pool"]
    what = f"{wait(len(waiting), 'thread')} for a connection of a pool{at(waiting[0].site)}"
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


def deadlock(scene: Scene) -> Sighting | None:
    """All busy threads wait for locks, and nobody runs."""
    waiting = [doing for doing in scene.workers if doing.kind == "lock"]
    if len(waiting) < 2 or len(waiting) < len(scene.workers):
        return None
    places = list(dict.fromkeys(place(one.site) for one in waiting if one.site))
    return Sighting(
        (UNKNOWN,),
        f"{wait(len(waiting), 'thread')} for locks ({', '.join(places[:4])}), and no thread runs "
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


def calls(*kinds: str) -> Callable[[Scene], Sighting | None]:
    """Return the row for threads of which most are in calls to peers of these kinds."""

    def sees(scene: Scene) -> Sighting | None:
        for kind in kinds:
            mine = [doing for doing in scene.workers if doing.peer == kind]
            if mine and len(mine) * 2 >= len(scene.workers) and mine[0].thread.samples > 1:
                count, first = alike(mine)[0]
                stuck = sum(doing.thread.stuck for doing in mine)
                return Sighting(
                    OF_PEERS[kind],
                    f"{wait(count, 'thread')} at the same place{at(first.site)}: it {first.words}",
                    first.site,
                    [f"{len(mine)} of {len(scene.workers)} busy threads are in a call to such a "
                     f"peer, {stuck} of them did not move at all"],
                )  # fmt: skip
        return None

    return sees


def computes_in_thread(scene: Scene) -> Sighting | None:
    """A thread beside the loop computes."""
    rows = [one for one in scene.workers if one.kind == "computes" and one.thread.site]
    if not rows:
        return None
    hottest = max(rows, key=lambda doing: doing.thread.cpu_s)
    return computes(hottest, "in a thread: one thread of Python runs at a time")


def takes_threads(scene: Scene) -> Sighting | None:
    """As many endpoints run as there are threads for them."""
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
         f"and {len(taken)} are busy",
         *(["the event loop itself is free"] if scene.loops and not scene.loops[0].busy else [])],
    )  # fmt: skip


def awaits_peer(scene: Scene) -> Sighting | None:
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


def idle(scene: Scene) -> Sighting | None:
    """Nobody waits for it, and it waits for work."""
    if scene.workers or any(loop.busy for loop in scene.loops) or scene.unanswered:
        return None
    main = scene.doings[0] if scene.doings else None
    if main is None or (main.busy and main.site and main.kind != "waits"):
        return None
    serves = scene.loops and scene.look.listeners
    if not serves and any(doing.busy for doing in scene.doings[1:]):
        return None  # a thread that waits for something may have a request in it
    if not scene.tells_idleness or any(one.waiting for one in scene.look.listeners):
        return None
    if scene.look.facts.children:
        said = f"this process only looks after {len(scene.look.facts.children)} others"
        return Sighting(("N0",), f"{said}: they do the work")
    what = (
        "answers its clients, and none waits" if scene.answers else "is idle: no request is in it"
    )
    return Sighting(
        ("N0",),
        f"this process {what}, so it is not what hangs",
        proof=["its threads wait for work", "no client waits for an answer of it"],
        advice=["Look at what is before it: does the gateway reach this process, and this port?"],
    )
