"""The same evidence in the embedded store and in Tempo: the same verdict."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import busy_day
from lab.standins.tempofill import tempo_with
from tests.unit.receive.otlp_bodies import protobuf
from tests.unit.stores.hangs_by_hand import API, GATEWAY, loop_hang, pool_hang
from tests.unit.stores.tempo_served import served
from why504.diagnose import explain
from why504.model import Window
from why504.receive.decode import Decoder
from why504.receive.segments import Segments
from why504.stores.parquet import ParquetStore

ROOT = Path(__file__).parents[3]
PLAYED = sorted(ROOT.glob(".run/demo-*/store/segments"))


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
