"""Silence: what held a process up when it fell silent goes on, until somebody contradicts.

While it collects garbage, has no core, or a C call keeps the GIL, a process can't tell that it
still stands: its last word comes early. Whoever gives an answer, refuses a connection or speaks in
its place says that this is over: it was killed, or only its way to the receiver was cut off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import chain
from typing import Final

from why504 import names
from why504.diagnose.activity import Process, process_of
from why504.diagnose.endings import due_of, end_of
from why504.diagnose.peers import status_of
from why504.model import Evidence, Record, Span, Stall, Vitals

_GRAVE_NS: Final = 1_000_000_000
"""Shorter stalls are everyday: one that was open by chance explains no silence."""
_VITALS_DUE_NS: Final = 3_000_000_000
"""While something hangs, a process tells its vitals at least this often."""
_GAVE_UP: Final = (499, 504)
"""What a gateway says of a request to which nobody reacted."""


class Silence:
    """Who fell silent during a stall, and what the gateways and others say about it."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._reactions_ns: dict[str, list[int]] = defaultdict(list)
        """Upstream address -> when it let a gateway know that it is there, or is not."""
        self._known_ns = 0
        for span in evidence.spans:
            if span.service == names.GATEWAY_SERVICE and span.end_ns is not None:
                self._known_ns = max(self._known_ns, span.end_ns)
                if _reacted(span):
                    self._reactions_ns[upstream_of(span)].append(span.end_ns)

    def after(
        self, stall: Stall, address: str, others: Collection[Process]
    ) -> tuple[int, int, Stall] | None:
        """Return the time for which a stall went on untold; None if nothing speaks for it.

        Args:
            stall: of the process that is meant.
            address: where gateways reach it.
            others: who else may answer there.
        """
        told_ns = end_of(stall, self._evidence.heard_ns)
        # Who was heard of when the stall was due to be told, and did not tell it, is over it.
        silent = stall.end_ns is None and told_ns < due_of(stall)
        if not silent or stall.last_seen_ns - stall.start_ns < _GRAVE_NS:
            return None
        until_ns = self._until(told_ns, address, others)
        return (told_ns, until_ns, stall) if until_ns > told_ns else None

    def starved_after(
        self, last: Vitals, address: str, others: Collection[Process]
    ) -> tuple[int, int, Vitals] | None:
        """Return the time in which a process went on without a core untold; None as above.

        Args:
            last: what it told last of itself, that it could not run.
            address: where gateways reach it.
            others: who else may answer there.
        """
        told_ns = last.end_ns or 0
        heard_ns = self._evidence.heard_ns.get(last.instance, told_ns)
        # Who could speak of anything when its vitals were due, and told none, did not starve.
        if heard_ns - told_ns > _VITALS_DUE_NS:
            return None
        until_ns = self._until(heard_ns, address, others)
        return (told_ns, until_ns, last) if until_ns > told_ns else None

    def _until(self, after_ns: int, address: str, others: Collection[Process]) -> int:
        """Return when somebody first contradicted a silence; the end of what is known if nobody."""
        signs = chain(
            (at_ns for at_ns in self._reactions_ns.get(address, ()) if at_ns > after_ns),
            self._spoke(others, after_ns) if others else (),
        )
        return min(signs, default=self._known_ns)

    def _spoke(self, processes: Collection[Process], after_ns: int) -> Iterable[int]:
        evidence = self._evidence
        told: Iterable[Span | Record] = chain[Span | Record](
            evidence.spans, evidence.waits, evidence.holds, evidence.stalls, evidence.vitals
        )
        for item in told:
            if item.last_seen_ns > after_ns and process_of(item) in processes:
                yield max(item.start_ns, after_ns)


def upstream_of(gateway: Span) -> str:
    """Return the address that a gateway sent a request to; empty where it does not tell."""
    return str(gateway.attributes.get(names.GATEWAY_UPSTREAM_ADDRESS, ""))


def _reacted(gateway: Span) -> bool:
    """Return whether anything came back: an answer, or that nobody is there to give one."""
    answered = names.GATEWAY_UPSTREAM_HEADER_S in gateway.attributes
    return answered or status_of(gateway.attributes) not in _GAVE_UP
