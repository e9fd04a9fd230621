"""A small language to write evidence by hand: seconds instead of nanoseconds, names not ids."""

from __future__ import annotations

import hashlib

from why504 import names
from why504.model import Evidence, Hold, Site, Span, Stall, Vitals, Wait, Window

S = 1_000_000_000
T0 = 1_795_000_000 * S
APP = "app-1"


def hexid(name: str, digits: int) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:digits]


def at(seconds: float) -> int:
    return T0 + round(seconds * S)


class Scene:
    """Collects evidence; every method takes seconds since the scene began."""

    def __init__(self, until_s: float) -> None:
        self.until_s = until_s
        self.spans: list[Span] = []
        self.waits: list[Wait] = []
        self.holds: list[Hold] = []
        self.stalls: list[Stall] = []
        self.vitals: list[Vitals] = []

    def gateway(self, who: str, start_s: float, end_s: float, status: int = 504, **extra) -> None:
        self.spans.append(
            Span(
                hexid(who, 32), hexid(who + "/gw", 16), None, "POST /v1/x", "server",
                at(start_s), at(end_s), at(end_s), names.GATEWAY_SERVICE, "gw-1",
                attributes={
                    names.HTTP_STATUS: status,
                    names.HTTP_METHOD: "POST",
                    names.GATEWAY_UPSTREAM_ADDRESS: "127.0.0.1:8000",
                    **extra,
                },
            )
        )  # fmt: skip

    def app(
        self, who: str, start_s: float, end_s: float | None, route: str = "/v1/x", **told
    ) -> None:
        served = {names.HTTP_METHOD: "POST", names.HTTP_ROUTE: route, names.SERVER_PORT: 8000}
        self.span(who, "app", "gw", start_s, end_s, kind="server", **served, **told)

    def span(
        self, who, part, parent, start_s, end_s, *, kind="internal", name=None, site=None,
        stack="", instance=APP, **attributes,
    ) -> None:  # fmt: skip
        self.spans.append(
            Span(
                hexid(who, 32), hexid(f"{who}/{part}", 16), hexid(f"{who}/{parent}", 16),
                name or part, kind, at(start_s), None if end_s is None else at(end_s),
                at(self.until_s if end_s is None else end_s), "svc", instance,
                attributes=attributes, site=site, stack=stack,
            )
        )  # fmt: skip

    def _record(self, cls, who, resource, start_s, end_s, outcome, *, part="app", site=None,
                stack="", instance=APP, **attributes):  # fmt: skip
        return cls(
            hexid(who, 32),
            hexid(f"{who}/{cls.__name__}/{resource}/{start_s}", 16),
            hexid(f"{who}/{part}", 16),
            resource, at(start_s), None if end_s is None else at(end_s),
            at(self.until_s if end_s is None else end_s), "svc", instance, outcome,
            attributes=attributes, site=site, stack=stack,
        )  # fmt: skip

    def wait(self, who, start_s, end_s, resource="db.pool:main", **extra) -> None:
        outcome = "open" if end_s is None else "acquired"
        self.waits.append(self._record(Wait, who, resource, start_s, end_s, outcome, **extra))

    def hold(self, who, start_s, end_s, resource="db.pool:main", **extra) -> None:
        outcome = "open" if end_s is None else "released"
        self.holds.append(self._record(Hold, who, resource, start_s, end_s, outcome, **extra))

    def stall(self, who, start_s, end_s, site, **extra) -> None:
        outcome = "open" if end_s is None else "ended"
        self.stalls.append(
            self._record(Stall, who, "loop:42", start_s, end_s, outcome, site=site, **extra)
        )

    def told_of_itself(self, start_s: float, end_s: float, **used: float) -> None:
        """The process told its vitals: `cpu_s`, `delay_s`, `throttled_s`, `gc_s`, `faults`."""
        keys = {
            "cpu_s": names.CPU_USED_S,
            "delay_s": names.CPU_DELAY_S,
            "throttled_s": names.CPU_THROTTLED_S,
            "gc_s": names.GC_CPU_S,
            "faults": names.MAJOR_FAULTS,
            "rss": names.MEMORY_RSS,
            "limit": names.MEMORY_LIMIT,
        }
        told = {keys[name]: value for name, value in used.items()}
        self.vitals.append(
            self._record(Vitals, "process", names.process(42), start_s, end_s, "ended", **told)
        )

    def locks_watched(self, start_s: float, end_s: float) -> None:
        """PostgreSQL was asked for lock waits meanwhile."""
        self.spans.append(
            Span(
                hexid("watch", 32), hexid(f"watch/{start_s}", 16), None, names.LOCKS_WATCHED,
                "internal", at(start_s), at(end_s), at(end_s), "postgresql", "pg",
            )
        )  # fmt: skip

    def evidence(self) -> Evidence:
        return Evidence(
            Window(at(0), at(self.until_s)),
            self.spans, self.waits, self.holds, self.stalls, {APP: at(self.until_s)}, self.vitals,
        )  # fmt: skip


def site(line: int, file: str = "service/publisher.py") -> Site:
    return Site(file, line, "publish")
