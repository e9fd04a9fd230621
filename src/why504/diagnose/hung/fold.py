"""Several samples of a process's stacks as one picture: what stayed, and what moved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from why504.diagnose.hung import stacks
from why504.diagnose.hung.snapshot import Frame, Thread

MOST_SHARE: Final = 0.8
"""What so many samples have in common is where the thread is."""

Stack = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Sampled:
    """One thread in one sample."""

    name: str
    frames: Stack
    """Innermost first."""
    has_gil: bool = False


def threads_of(samples: Sequence[Mapping[int, Sampled]]) -> list[Thread]:
    """Return every thread of all samples, those of the last one's order first.

    Args:
        samples: by the thread's id in the kernel.
    """
    rows: dict[int, list[Sampled]] = defaultdict(list)
    for sample in reversed(samples):
        for tid, sampled in sample.items():
            rows[tid].append(sampled)
    return [_thread(tid, seen) for tid, seen in rows.items()]


def _thread(tid: int, seen: Sequence[Sampled]) -> Thread:
    every = [one.frames for one in seen]
    site = _in_common([stacks.inside_loop(frames) for frames in every])
    with_it = [frames for frames in every if site is None or site in frames] or every
    frames, _ = Counter(with_it).most_common(1)[0]
    return Thread(
        tid=tid,
        name=seen[0].name,
        frames=frames,
        samples=len(seen),
        same=every.count(frames),
        site=site,
        at_site=sum(site in frames for frames in every) if site else 0,
        has_gil=sum(one.has_gil for one in seen),
    )


def _in_common(every: Sequence[Sequence[Frame]]) -> Frame | None:
    """Return the innermost function of the application that most stacks have, where it was most.

    Its own innermost line moves where a computation calls helpers; the caller of them stays.
    """
    functions: Counter[tuple[str, str]] = Counter()
    lines: Counter[Frame] = Counter()
    depth: dict[tuple[str, str], int] = {}
    for frames in every:
        own = [frame for frame in frames if stacks.is_own(frame)]
        functions.update({(frame.file, frame.function) for frame in own})
        lines.update(set(own))
        for outwards, frame in enumerate(reversed(own)):
            depth[frame.file, frame.function] = outwards
    enough = [key for key, count in functions.items() if count >= MOST_SHARE * len(every)]
    if not enough:
        return None
    deepest = max(enough, key=lambda key: depth[key])
    mine = [(count, line) for line, count in lines.items() if (line.file, line.function) == deepest]
    return max(mine)[1]
