"""Hangs made by hand: a pool that two keep, and a line that blocks the event loop."""

from __future__ import annotations

import hashlib

from tests.unit.receive.otlp_bodies import span
from why504 import names

API = {"service.name": "api", "service.instance.id": "api-1"}
GATEWAY = {"service.name": names.GATEWAY_SERVICE, "service.instance.id": "nginx"}
SITE = {names.CODE_FILE: "shop/pay.py", names.CODE_LINE: 7, names.CODE_FUNCTION: "pay"}


def trace(name):
    return hashlib.sha256(name.encode()).digest()[:16]


def own(name):
    return hashlib.sha256(name.encode()).digest()[:8]


def request(who, start_s, gave_up_s, told_at_s=(), **app):
    """A 504 and the application's side, which snapshots tell of."""
    ids = {"trace_id": trace(who)}
    told = {names.HTTP_STATUS: 504, names.HTTP_METHOD: "POST"}
    gateway = span(
        **ids, span_id=own(who + "gw"), name="POST /v1/x", start_s=start_s, end_s=gave_up_s,
        attributes=told,
    )  # fmt: skip
    snapshots = [
        span(
            **ids, parent_id=own(who + "app"), name="snapshot POST /v1/x", kind=1,
            start_s=start_s + 0.002, end_s=at_s,
            attributes={
                names.KIND: names.SNAPSHOT, names.SNAPSHOT_OF: own(who + "app").hex(),
                names.SNAPSHOT_SEQUENCE: number, names.SNAPSHOT_PARENT: own(who + "gw").hex(),
                names.SNAPSHOT_KIND: "server", names.HTTP_ROUTE: "/v1/x", names.KEEP: True,
                names.INFLIGHT_AGE_S: at_s - start_s, **app,
            },
        )
        for number, at_s in enumerate(told_at_s, 1)
    ]  # fmt: skip
    return [gateway], snapshots


def record(who, kind, resource, start_s, told_at_s, **more):
    """A record that is told again and again, and never ends."""
    return [
        span(
            trace_id=trace(who), parent_id=own(who + "app"), name=f"{kind} {resource}", kind=1,
            start_s=start_s, end_s=at_s,
            attributes={
                names.KIND: kind, names.RESOURCE: resource, names.OUTCOME: names.OPEN,
                names.SNAPSHOT_OF: own(who + kind).hex(), names.SNAPSHOT_SEQUENCE: number,
                names.KEEP: True, **more,
            },
        )
        for number, at_s in enumerate(told_at_s, 1)
    ]  # fmt: skip


def call(who, start_s, told_at_s):
    """A call of an LLM that does not return."""
    return [
        span(
            trace_id=trace(who), parent_id=own(who + "llm"), name="snapshot chat llama", kind=1,
            start_s=start_s, end_s=at_s,
            attributes={
                names.KIND: names.SNAPSHOT, names.SNAPSHOT_OF: own(who + "llm").hex(),
                names.SNAPSHOT_SEQUENCE: number, names.SNAPSHOT_PARENT: own(who + "app").hex(),
                names.SNAPSHOT_KIND: "client", names.GEN_AI_PROVIDER: "groq", names.KEEP: True,
                **SITE,
            },
        )
        for number, at_s in enumerate(told_at_s, 1)
    ]  # fmt: skip


def vitals(until_s):
    return [
        span(
            trace_id=trace(f"vitals{n}"), name="vitals process:42", kind=1, start_s=n * 2.0,
            end_s=n * 2.0 + 2,
            attributes={
                names.KIND: names.VITALS, names.RESOURCE: names.process(42), names.KEEP: True,
                names.CPU_USED_S: 0.125, names.MEMORY_RSS: 10**8,
            },
        )
        for n in range(int(until_s // 2))
    ]  # fmt: skip


def pool_hang():
    """Two hold the pool and ask an LLM for good, six wait for it."""
    gateway, app = [], vitals(30)
    for n in range(2):
        who = f"holder{n}"
        mine, snapshots = request(who, n * 0.1, n * 0.1 + 5, (1.5, 4, 9, 20, 28))
        gateway += mine
        app += snapshots
        app += record(who, names.HOLD, "db.pool:main", n * 0.1 + 0.01, (1.5, 4, 9, 20, 28), **SITE)
        app += call(who, n * 0.1 + 0.02, (1.5, 4, 9, 20, 28))
    for n in range(6):
        who = f"victim{n}"
        mine, snapshots = request(who, 1 + n * 0.1, 6 + n * 0.1, (2.5, 6, 14, 27))
        gateway += mine
        app += snapshots
        app += record(
            who, names.WAIT, "db.pool:main", 1.01 + n * 0.1, (2.5, 6, 14, 27),
            **{names.POOL_CAPACITY: 2, names.POOL_IN_USE: 2},
        )  # fmt: skip
    return gateway, app


def loop_hang():
    """One line blocks the loop, twenty requests are never taken up."""
    gateway, app = request("culprit", 0, 5, (1, 3, 8, 15))
    stack = 'File "pika/connection.py", line 3, in connect\nFile "shop/pay.py", line 7, in pay\n'
    app += record(
        "culprit", names.STALL, "loop:42", 0.01, (1, 3, 8, 15),
        **SITE, **{names.CODE_STACKTRACE: stack, names.STALL_PROGRESSING: False},
    )  # fmt: skip
    for n in range(20):
        gateway += request(f"unseen{n}", 0.5 + n * 0.1, 5.5 + n * 0.1)[0]
    return gateway, app + vitals(16)
