"""Caveats: evidence that nobody told, without which a cause can't be told from its neighbour.

Said beside every answer, so that UNKNOWN says what to add, and a name says how sure it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from why504 import names
from why504.diagnose.activity import Process
from why504.diagnose.blame import Blamer, Verdict
from why504.diagnose.brokers import asked, calls_rabbitmq
from why504.diagnose.clocks import Skew
from why504.diagnose.peers import peer_of
from why504.model import Span, Victim, how_many

_EDGE_NS: Final = 30_000_000_000
"""An incident that ended so shortly before the latest that is known may still go on."""
_PART_OF_IT: Final = 0.02
"""Calls with less of the lost time are not what an incident is about."""


def caveats(
    verdict: Verdict, victims: Sequence[Victim], blamer: Blamer, skews: Mapping[Process, Skew]
) -> list[str]:
    """Return what to bear in mind about an answer, a sentence each; empty when all was told."""
    evidence = blamer.evidence
    start_ns = min(victim.start_ns for victim in victims)
    end_ns = max(victim.gave_up_ns for victim in victims)
    traces = {victim.trace_id for victim in victims}
    spans = [s for s in evidence.spans if s.start_ns < end_ns and blamer.end_of(s) > start_ns]
    services = {s.service for s in spans if s.trace_id in traces} - {names.GATEWAY_SERVICE}
    records = (*evidence.waits, *evidence.holds, *evidence.stalls, *evidence.vitals)
    probed = {record.service for record in records if record.last_seen_ns >= start_ns}
    lines = [
        f"why504 restarted {told} at {datetime.fromtimestamp(at_ns / 1e9, tz=UTC):%H:%M:%S} UTC: "
        f"{why}"
        for at_ns, told, why in sorted(restarts(evidence.spans))
        if start_ns <= at_ns <= end_ns + _EDGE_NS
    ]
    if evidence.sample is not None and (hit := how_many(victims)) > len(victims):
        lines.append(
            f"too much to be read whole: {len(victims)} of the {hit} requests, and of those "
            "who held them up, were chosen by chance and stand for all; shares may be off by "
            f"{max(3, int(100 / math.sqrt(len(victims))))} %"
        )
    if evidence.settled_ns is not None and end_ns > evidence.settled_ns - _EDGE_NS:
        settled = datetime.fromtimestamp(evidence.settled_ns / 1e9, tz=UTC)
        lines.append(
            f"what ended after {settled:%H:%M:%S} UTC the trace store may not find yet: there may "
            "be more victims, ask again in a minute"
        )
    if silent := sorted(services - probed):
        lines.append(
            f"{' and '.join(silent)}: nothing of pools, locks and event loops; "
            "only spans (is why504.instrument called in each process?)"
        )
    if not any(span.service == names.GATEWAY_SERVICE for span in spans):
        lines.append("no gateway: requests that the application never saw are not counted")
    asks_database = any(
        span.kind == "client" and peer_of(span.attributes) == "db" for span in spans
    )
    if asks_database and not blamer.backends.watched(start_ns, end_ns):
        lines.append("nobody asked PostgreSQL for waits for locks (why504 receive --postgres URL)")
    at_the_broker_s = math.fsum(r.seconds for r in verdict.resting.values() if calls_rabbitmq(r))
    if at_the_broker_s > verdict.seconds * _PART_OF_IT and not asked(victims, blamer):
        lines.append("nobody asked RabbitMQ for alarms (why504 receive --rabbitmq URL)")
    for (service, _), skew in sorted(skews.items()):
        if service in services:
            way = "behind" if skew.offset_ns > 0 else "ahead of"
            lines.append(
                f"the clock of {service} is {abs(skew.offset_ns) / 1e9:.2f} s {way} the gateway's: "
                f"corrected, by {skew.requests} answered requests"
            )
    return lines


def restarts(spans: Iterable[Span]) -> Iterator[tuple[int, str, str]]:
    """Yield when which process of which service was restarted, and why."""
    for span in spans:
        why = span.attributes.get(names.RESTART_WHY)
        if isinstance(why, str):
            what = span.attributes.get(names.RESOURCE, "a process")
            yield span.start_ns, f"{what} of {span.service}", why
