"""What the processes of the service tell about themselves, read while a proof goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from lab.prove.supervisor import Kept
from lab.prove.traffic import Phase

READ_S: Final = 2.0
"""How long a page of metrics may take: it comes from a thread of its own."""

Labels = frozenset[tuple[str, str]]
Page = Mapping[tuple[str, Labels], float]
"""(name, labels) -> value."""


def read(port: int, names: Sequence[str]) -> Page:
    """Return the samples of these names that the process at `port` shows now.

    Raises:
        httpx.TransportError: nobody answers.
    """
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=READ_S, trust_env=False)
    # Pages are long and read often: only the lines that are wanted are parsed.
    wanted = (line for line in answer.text.splitlines() if line.startswith(tuple(names)))
    families = text_string_to_metric_families("\n".join(wanted) + "\n")
    samples = (sample for family in families for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def total(page: Page, name: str, **labels: str) -> float:
    """Return the sum of every sample of this name that has these labels."""
    return sum(
        value
        for (each, has), value in page.items()
        if each == name and has >= frozenset(labels.items())
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """One page of one process; `at_s` is Unix time."""

    process: str
    at_s: float
    page: Page


class Watch:
    """Reads the metrics of processes every `every_s` seconds, from a thread of its own."""

    def __init__(self, kept: Sequence[Kept], names: Sequence[str], *, every_s: float) -> None:
        self.readings: list[Reading] = []
        self._kept, self._names, self._every_s = kept, names, every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)

    def most(
        self, phases: Sequence[Phase], figure: Callable[[Page], float], *, of: str = ""
    ) -> float:
        """Return the highest figure of any process (or of one) in these phases, NaN without one."""
        figures = [
            figure(reading.page)
            for reading in list(self.readings)
            if of in ("", reading.process)
            and any(phase.start_s <= reading.at_s < phase.end_s for phase in phases)
        ]
        return max(figures, default=float("nan"))

    def increase(self, name: str, **labels: str) -> float:
        """Return how often this was counted in all processes together, as far as it was read.

        A counter that fell belongs to a new process and began at 0; what the old one counted
        after it was read last is not told, so this is a lower bound.
        """
        counted = 0.0
        before: dict[str, float] = {}
        for reading in list(self.readings):
            now = total(reading.page, name, **labels)
            last = before.get(reading.process, 0.0)
            counted += now - last if now >= last else now
            before[reading.process] = now
        return counted

    def latest(self, process: str) -> Page:
        """Return the last page of a process; an empty one if it never told."""
        told = (each.page for each in reversed(list(self.readings)) if each.process == process)
        return next(told, {})

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            for each in self._kept:
                try:
                    page = read(each.metrics_port, self._names)
                except httpx.TransportError:
                    continue
                self.readings.append(Reading(each.program.name, time.time(), page))
