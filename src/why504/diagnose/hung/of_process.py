"""What keeps a whole process: somebody stopped it, it has no core, or its event loop is held."""

from __future__ import annotations

from why504.diagnose.causes import UNKNOWN
from why504.diagnose.hung.fold import MOST_SHARE
from why504.diagnose.hung.scene import Doing, Scene
from why504.diagnose.hung.sighting import Sighting, at
from why504.diagnose.starvation import FAULTS_PER_S, FULL_SHARE, STARVED_SHARE


def stopped(scene: Scene) -> Sighting | None:
    """Somebody stopped it: whatever else is seen is older than that."""
    if scene.look.facts.state not in ("T", "t"):
        return None
    return Sighting(
        (UNKNOWN,),
        "the process is stopped by a signal or a debugger: nothing in it runs until SIGCONT",
        proof=[f"the kernel says so: state {scene.look.facts.state}"],
        title="Stopped",
        advice=[f"Let it run on: kill -CONT {scene.look.facts.pid}. Find out who stopped it."],
    )


def starved(scene: Scene) -> Sighting | None:
    """It wants to run, and has no core."""
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


def thrashes(scene: Scene) -> Sighting | None:
    """Its memory is full, and comes back from disk all the time."""
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


def keeps_interpreter(scene: Scene) -> Sighting | None:
    """A thread waits in C code that did not release the interpreter."""
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


def blocks_loop(scene: Scene) -> Sighting | None:
    """A loop that does not turn is judged as the engine judges a stall."""
    for doing in scene.loops:
        thread = doing.thread
        if doing.kind == "free" or thread.samples < 2 or thread.site is None:
            continue
        if doing.kind == "computes":
            return computes(doing, "on the event loop: nothing else can run meanwhile")
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


def computes(doing: Doing, why: str) -> Sighting:
    """Return what is said of a thread that computes."""
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
