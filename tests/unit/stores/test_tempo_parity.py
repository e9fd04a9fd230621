"""The same evidence in the embedded store and in Tempo: the same verdict."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from bench import busy_day
from tests.unit.receive.otlp_bodies import protobuf, span
from tests.unit.stores.tempo_bodies import tempo_with
from tests.unit.stores.tempo_served import served
from why504 import names
from why504.diagnose import explain
from why504.model import Window
from why504.receive.decode import Decoder
from why504.receive.segments import Segments
from why504.stores.parquet import ParquetStore

ROOT = Path(__file__).parents[3]
PLAYED = sorted(ROOT.glob(".run/demo-*/store/segments"))
API = {"service.name": "api", "service.instance.id": "api-1"}
GATEWAY = {"service.name": names.GATEWAY_SERVICE, "service.instance.id": "nginx"}
SITE = {names.CODE_FILE: "shop/pay.py", names.CODE_LINE: 7, names.CODE_FUNCTION: "pay"}


def bare(evidence):
    """Evidence without what a store says of itself."""
    return replace(evidence, heard_ns={}, settled_ns=None)


def both(folder, window=None, **settings):
    """Return what each store tells of a window, all of it by default."""
    embedded = ParquetStore(folder)
    window = window or embedded.extent()
    tempo = tempo_with(folder)
    store = served(tempo, now_ns=window.end_ns + 600 * 10**9, **settings)
    return embedded.evidence(window), store.sample(window), tempo


def shares(incident):
    found = {}
    for blame in incident.blames:
        key = blame.leaf.kind, blame.leaf.what, str(blame.leaf.site or "")
        found[key] = found.get(key, 0.0) + blame.share
    return found


# --- hangs made by hand --------------------------------------------------------------------------


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


@pytest.fixture(params=[pool_hang, loop_hang], ids=["pool", "loop"])
def hang(request, tmp_path):
    gateway, app = request.param()
    segments = Segments(tmp_path / "segments")
    for number, (spans, resource) in enumerate(((gateway, GATEWAY), (app, API))):
        segments.write(f"{number:04}", [Decoder().decode(protobuf(*spans, resource=resource))])
    return tmp_path


def test_a_hang_is_the_same_evidence_and_verdict_in_both(hang):
    embedded, told, tempo = both(hang)

    assert told.sample is None
    assert bare(told) == bare(embedded)
    assert told.heard_ns == embedded.heard_ns
    assert [replace(i, caveats=()) for i in explain(told)] == [
        replace(i, caveats=()) for i in explain(embedded)
    ]
    (incident,) = explain(told)
    assert incident.finding.mechanism in ("pool", "loop")
    assert incident.finding.confidence > 0.9
    assert not any("vitals" in target for target in tempo.asked if "traces" in target)


def test_a_trace_is_the_same_in_both(hang):
    embedded = ParquetStore(hang)
    window = embedded.extent()
    store = served(tempo_with(hang), now_ns=window.end_ns)

    traces = {one.trace_id for one in embedded.evidence(window).spans}

    assert len(traces) >= 8
    for trace_id in traces:
        assert bare(store.trace(trace_id)) == bare(embedded.trace(trace_id))


# --- more than is read whole ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A day with two incidents: 400 victims, 20,000 rows; in both stores."""
    folder = tmp_path_factory.mktemp("day")
    busy_day.write(folder, 24_000, 400, incident_s=90.0)
    embedded = ParquetStore(folder)
    return embedded, tempo_with(folder), embedded.extent()


def test_a_sample_says_what_the_whole_says(day):
    store, tempo, window = day
    embedded = store.evidence(window)
    told = served(tempo, now_ns=window.end_ns + 10**12).sample(window)

    assert told.sample is not None
    assert len({s.trace_id for s in told.spans}) < 320
    for true, part in zip(explain(embedded), explain(told), strict=True):
        assert (part.finding.cause, str(part.finding.site)) == ("B3", busy_day.SITE)
        assert part.finding.cause == true.finding.cause
        assert part.finding.mechanism == true.finding.mechanism
        assert part.id == true.id
        assert part.count == len(true.victims) == 200
        assert len(part.victims) < 140
        assert part.blame_in_s == pytest.approx(true.blame_in_s, rel=0.01)
        assert part.blame_out_s == pytest.approx(part.blame_in_s, rel=1e-9)
        expected = shares(true)
        assert sum(abs(share - expected.get(key, 0)) for key, share in shares(part).items()) < 0.2
        assert "stand for all" in " ".join(part.caveats)
    assert told.sample.requests == 400


def test_slow_requests_are_looked_for_on_demand(day):
    _, tempo, window = day
    store = served(tempo, now_ns=window.end_ns + 10**12)

    incidents = explain(store.sample(window, slower_than_s=30.0), slower_than_s=30.0)

    assert {victim.how for i in incidents for victim in i.victims} == {"timeout", "slow"}


def test_a_calm_window_is_counted_only(day):
    embedded, tempo, window = day
    calm = Window(busy_day.BEGIN_NS + 35_000 * 10**9, busy_day.BEGIN_NS + 64_000 * 10**9)
    before = len(tempo.asked)

    evidence = served(tempo, now_ns=window.end_ns, traces=24).sample(calm)

    whole = embedded.evidence(calm)
    assert explain(evidence) == []
    assert evidence.sample.requests == sum(s.service == "gateway" for s in whole.spans) > 100
    assert len(tempo.asked) - before < 10


# --- what the lab has played ---------------------------------------------------------------------


@pytest.mark.parametrize("segments", PLAYED, ids=[str(path.parts[-3]) for path in PLAYED])
@pytest.mark.parametrize("traces", [2_000, 140, 60])
def test_played_faults_have_the_same_verdict(segments, traces):
    embedded, told, _ = both(segments.parent, traces=traces)

    expected, found = explain(embedded), explain(told)
    assert [i.finding.cause for i in found] == [i.finding.cause for i in expected]
    assert [i.finding.mechanism for i in found] == [i.finding.mechanism for i in expected]
    assert [i.finding.site for i in found] == [i.finding.site for i in expected]
    assert [i.count for i in found] == [i.count for i in expected]
    if told.sample is None:
        assert bare(told) == bare(embedded)
    for true, part in zip(expected, found, strict=True):
        assert part.finding.confidence == pytest.approx(true.finding.confidence, abs=0.15)
