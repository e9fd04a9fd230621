"""Compares what was injected with what was named, and counts what each side saw of the 504s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from lab.faults import Fault
from lab.load import Summary
from why504.model import Evidence, Incident, Replay

NOTHING: Final = "N0"
"""What is named when there is no incident."""
CONSERVED_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Verdict:
    """A trigger, a mechanism and a line, expected or named."""

    trigger: str
    mechanism: str
    site: str | None
    also: tuple[str, ...] = ()
    """Lines that are as right."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run: what was injected, what was named, and who saw how many of the 504s."""

    fault: str
    trigger: str
    mechanism: str
    site: str | None
    expected: Verdict
    correct: bool
    """Right trigger, mechanism and line, no 504 missing, and no second of blame lost."""
    problems: Sequence[str]
    """What is not correct, for people; empty when all is."""
    victims: int
    gateway_504: int
    """By the gateway's access log."""
    client_504: int
    explained: int
    unknown: int
    victims_with_app_span: int
    victims_with_stock_span: int
    """Of the gateway's 504s, those with any application span of stock OpenTelemetry."""
    victims_with_stock_server_span: int
    """Those of them with the span of the request itself, not just of its body or a statement."""
    blame_in_s: float
    blame_out_s: float
    seconds_first_504_to_verdict: float | None
    requests: int
    statuses: Mapping[int, int]
    """Status, as the clients saw it, -> requests; 0 = the client hung up."""
    p50_s: float
    p99_s: float
    duration_s: float
    seed: int
    under: str
    """The condition of lab/matrix/conditions.py."""
    baselines: Mapping[str, str]
    """Simpler method -> the cause that it names."""
    ablations: Mapping[str, str]
    """What was left out of the evidence -> the cause that the engine names then."""
    replay: Replay | None = None
    """The largest incident played again; None where there is none."""
    incidents: Sequence[Incident] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return plain data; the incidents themselves are what `why504 explain --json` prints."""
        document = asdict(replace(self, incidents=()))
        return document | {"incidents": [incident.id for incident in self.incidents]}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one run, by whom."""

    incidents: Sequence[Incident]
    gateway_504: frozenset[str]
    """Trace ids."""
    stock: Evidence
    clients: Summary
    verdict_after_s: float | None
    duration_s: float
    seed: int
    under: str = "steady"
    baselines: Mapping[str, str] = field(default_factory=dict)
    ablations: Mapping[str, str] = field(default_factory=dict)


def expected(fault: Fault) -> Verdict:
    """Return what a fault must be named.

    Raises:
        LabError: the line that the fault is at can't be found any more.
    """
    site = fault.site.resolve() if fault.site else None
    also = tuple(marker.resolve() for marker in fault.also)
    return Verdict(fault.trigger, fault.mechanism, site, also)


def score(fault: Fault, wanted: Verdict, seen: Seen) -> Outcome:
    """Return the outcome of a run; `wanted` is what `expected` said before it."""
    incident = max(seen.incidents, key=lambda i: len(i.victims), default=None)
    named = _named(incident)
    victims = [victim for each in seen.incidents for victim in each.victims]
    stock = {span.trace_id for span in seen.stock.spans} & seen.gateway_504
    served = {span.trace_id for span in seen.stock.spans if span.kind == "server"}
    blame_in_s = sum(each.blame_in_s for each in seen.incidents)
    blame_out_s = sum(each.blame_out_s for each in seen.incidents)
    found = {v.trace_id for v in victims if v.status == 504}
    problems = [
        *_differences(wanted, named),
        *_missing(seen, found),
        *([] if abs(blame_in_s - blame_out_s) < CONSERVED_S else ["blame was made or lost"]),
    ]
    return Outcome(
        fault=fault.id,
        trigger=named.trigger,
        mechanism=named.mechanism,
        site=named.site,
        expected=wanted,
        correct=not problems,
        problems=problems,
        victims=len(victims),
        gateway_504=len(seen.gateway_504),
        client_504=seen.clients.statuses.get(504, 0),
        explained=sum(victim.explained for victim in victims),
        unknown=sum(not victim.explained for victim in victims),
        victims_with_app_span=sum(victim.reached_app for victim in victims),
        victims_with_stock_span=len(stock),
        victims_with_stock_server_span=len(stock & served),
        blame_in_s=blame_in_s,
        blame_out_s=blame_out_s,
        seconds_first_504_to_verdict=seen.verdict_after_s,
        requests=seen.clients.requests,
        statuses=seen.clients.statuses,
        p50_s=seen.clients.p50_s,
        p99_s=seen.clients.p99_s,
        duration_s=seen.duration_s,
        seed=seen.seed,
        under=seen.under,
        baselines=seen.baselines,
        ablations=seen.ablations,
        replay=incident.replay if incident else None,
        incidents=seen.incidents,
    )


def _named(incident: Incident | None) -> Verdict:
    if incident is None:
        return Verdict(NOTHING, "none", None)
    finding = incident.finding
    return Verdict(finding.cause, finding.mechanism, str(finding.site) if finding.site else None)


def _differences(wanted: Verdict, named: Verdict) -> list[str]:
    pairs = [
        ("trigger", wanted.trigger, named.trigger),
        ("mechanism", wanted.mechanism, named.mechanism),
        ("site", _nearest(wanted, named), named.site),
    ]
    return [f"{what} is {got}, not {want}" for what, want, got in pairs if want != got]


def _nearest(wanted: Verdict, named: Verdict) -> str | None:
    """Return the line that was named if it is a right one, or none was wanted."""
    return named.site if named.site in wanted.also or not wanted.site else wanted.site


def _missing(seen: Seen, found: set[str]) -> list[str]:
    missing = len(seen.gateway_504 - found)
    problems = [f"{missing} of the gateway's 504s are missing"] if missing else []
    if len(seen.gateway_504) != seen.clients.statuses.get(504, 0):
        problems.append("clients and gateway counted different numbers of 504s")
    return problems
