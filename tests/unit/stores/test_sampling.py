"""A sample must say what the whole would have said; of little it is the whole."""

import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import busy_day
from why504 import names
from why504.diagnose import explain
from why504.diagnose.steps import Presence
from why504.model import Window
from why504.stores import parquet
from why504.stores.parquet import ParquetStore
from why504.stores.sampling import (
    VICTIMS,
    Candidates,
    Intervals,
    Lots,
    bursts,
    drawn,
    holders_by_lot,
    owed_by,
    victims_by_lot,
)

interval = st.tuples(st.integers(0, 1000), st.integers(1, 300)).map(lambda p: (p[0], p[0] + p[1]))


def columns(rows):
    return tuple(np.array([row[i] for row in rows], np.int64) for i in (0, 1))


def codes(count, seed=1):
    return np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """120 s of trouble, twice: 1,200 victims, 60,000 rows."""
    folder = tmp_path_factory.mktemp("day")
    busy_day.write(folder, 60_000, 1_200, incident_s=180.0)
    return ParquetStore(folder)


@pytest.fixture
def sampled(monkeypatch):
    """However little there is, it is read as a sample."""
    monkeypatch.setattr(parquet, "WHOLE_ROWS", 0)


def shares(incident):
    found = {}
    for blame in incident.blames:
        kind = blame.leaf.kind, blame.leaf.what if blame.leaf.kind == "ext" else ""
        found[kind] = found.get(kind, 0.0) + blame.share
    return found


def test_a_sample_says_what_the_whole_says(day, sampled, monkeypatch):
    monkeypatch.setattr("why504.stores.sampling.VICTIMS", 200)
    monkeypatch.setattr("why504.stores.sampled.HOLDERS", 300)
    window = day.extent()
    whole, part = day.evidence(window), day.sample(window)

    assert len(part.holds) < len(whole.holds) / 5
    for true, told in zip(explain(whole), explain(part), strict=True):
        assert (told.finding.cause, str(told.finding.site)) == ("B3", busy_day.SITE)
        assert told.finding.cause == true.finding.cause
        assert told.count == len(true.victims) == 600
        assert len(told.victims) < 600
        expected = shares(true)
        assert shares(told) == pytest.approx(
            {kind: expected.get(kind, 0.0) for kind in shares(told)}, abs=0.06
        )
        assert told.blame_in_s == pytest.approx(true.blame_in_s, rel=0.01)
        assert told.blame_out_s == pytest.approx(told.blame_in_s, rel=1e-9)
        assert "chosen by chance" in " ".join(told.caveats)


def test_what_is_little_is_read_whole(sampled, tmp_path, monkeypatch):
    monkeypatch.setattr("why504.stores.sampled.HOLDERS", 100_000)
    monkeypatch.setattr("why504.stores.sampled.USUAL", 100_000)
    busy_day.write(tmp_path, 3_000, 60, incident_s=80.0)
    store = ParquetStore(tmp_path)
    window = store.extent()
    whole, told = explain(store.evidence(window)), explain(store.sample(window))

    assert [i.finding.sentence for i in told] == [i.finding.sentence for i in whole]
    assert [i.finding.evidence_for for i in told] == [i.finding.evidence_for for i in whole]
    assert [i.victims for i in told] == [i.victims for i in whole]
    assert [i.caveats for i in told] == [i.caveats for i in whole]
    for true, part in zip(whole, told, strict=True):
        assert shares(part) == pytest.approx(shares(true), abs=1e-6)


def test_a_day_without_victims_is_counted_only(day, sampled):
    extent = day.extent()
    calm = Window(extent.start_ns, extent.start_ns + 10_000 * 10**9)

    evidence = day.sample(calm)

    assert explain(evidence) == []
    whole = day.evidence(calm)
    assert evidence.sample.requests == sum(s.service == "gateway" for s in whole.spans) > 100


def test_slow_requests_are_looked_for_on_demand(day, sampled):
    extent = day.extent()
    incidents = explain(day.sample(extent, slower_than_s=30.0), slower_than_s=30.0)

    assert {victim.how for i in incidents for victim in i.victims} == {"timeout", "slow"}


@pytest.mark.parametrize(
    ("began_s", "told_for_s"), [(0, 4), (-1200, 900)], ids=["told meanwhile", "told before"]
)
def test_a_hold_that_is_only_told_to_be_open_counts(tmp_path, sampled, began_s, told_for_s):
    """A connection that a hung request has kept, of which snapshots tell and nothing else."""
    busy_day.write(tmp_path, 2_000, 40, incident_s=80.0)
    segments = tmp_path / "segments"
    (file,) = segments.glob("*.parquet")
    table = pq.read_table(file)
    rows = table.to_pylist()
    second_ns = busy_day.BEGIN_NS + int(busy_day.INCIDENTS_AT_S[1] * 1e9)
    kept = max(
        (r for r in rows if r["record"] == "hold" and r["start_ns"] < second_ns),
        key=lambda r: r["end_ns"] - r["start_ns"],
    )
    began_ns = kept["start_ns"] + began_s * 10**9
    snapshot = {
        **kept,
        "span_id": b"snapshot",
        "trace_id": b"h" * 16,
        "snapshot_of": b"hung-one",
        "sequence": 3,
        "start_ns": began_ns,
        "end_ns": began_ns + told_for_s * 10**9,
        "attributes": json.dumps({**json.loads(kept["attributes"]), "why504.outcome": "open"}),
    }
    others = [row for row in rows if row["record"] != "hold"]
    pq.write_table(type(table).from_pylist([*others, snapshot], table.schema), file)
    store = ParquetStore(tmp_path)

    part = store.sample(store.extent())

    assert [(h.trace_id, h.end_ns) for h in part.holds] == [((b"h" * 16).hex(), None)]
    whole = explain(store.evidence(store.extent()))
    assert [i.finding for i in explain(part)] == [i.finding for i in whole]


def test_alarms_of_a_broker_are_read_for_certain(tmp_path, sampled):
    busy_day.write(tmp_path, 2_000, 40, incident_s=80.0)
    (file,) = (tmp_path / "segments").glob("*.parquet")
    table = pq.read_table(file)
    rows = table.to_pylist()
    held = next(row for row in rows if row["record"] == "hold")
    begin_ns = min(row["start_ns"] for row in rows if row["http_status"] == 504)
    of_broker = {"trace_id": b"b" * 16, "start_ns": begin_ns, "end_ns": begin_ns + 10**9}
    alarm = {**held, **of_broker, "span_id": b"alarmed1", "resource": "broker:rabbit@x"}
    asked = {**alarm, "span_id": b"watched1", "record": None, "resource": None}
    more = [alarm, {**asked, "name": names.BROKER_WATCHED}]
    pq.write_table(type(table).from_pylist([*rows, *more], table.schema), file)
    store = ParquetStore(tmp_path)

    part = store.sample(store.extent())

    assert any(hold.resource == "broker:rabbit@x" for hold in part.holds)
    assert any(span.name == names.BROKER_WATCHED for span in part.spans)


@given(st.lists(interval, max_size=12), st.lists(interval, min_size=1, max_size=12))
def test_holds_answer_for_all_waiting_that_somebody_held(holds, waits):
    held, waited = columns(holds), columns(waits)

    owed_s = owed_by(*waited, *held, Presence.of(*held))

    expected = sum(
        any(a <= at < b for a, b in holds) for begin, end in waits for at in range(begin, end)
    )
    assert owed_s.sum() * 1e9 == pytest.approx(expected)


def test_waits_of_no_length_cost_no_holder_anything():
    held, waited = columns([(0, 10), (5, 20)]), columns([(7, 7), (9, 8)])

    assert owed_by(*waited, *held, Presence.of(*held)).tolist() == [0.0, 0.0]


def test_a_sample_is_read_without_pandas(tmp_path):
    """Who has it installed would wait for its import longer than for the answer."""
    busy_day.write(tmp_path, 2_000, 40, incident_s=80.0)
    code = f"""
import sys
from pathlib import Path
from why504.stores import parquet
parquet.WHOLE_ROWS = 0
store = parquet.ParquetStore(Path({str(tmp_path)!r}))
print(len(store.sample(store.extent()).sample.stands_for), "pandas" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.split()[1] == "False"


def test_whoever_alone_held_it_for_long_is_read_for_certain():
    brief = [(i, i + 1) for i in range(5_000)]
    holds = columns([*brief, (0, 5_000)])
    count = len(holds[0])
    waits = columns([(0, 5_000)] * 10)
    records = Intervals(
        np.concatenate((codes(count), codes(10, 2))),
        np.concatenate((np.ones(count, bool), np.zeros(10, bool))),
        np.full(count + 10, 7, np.uint64),
        np.concatenate((holds[0], waits[0])),
        np.concatenate((holds[1], waits[1])),
    )
    lots = Lots(Window(0, 5_000))

    present = holders_by_lot(records, 100, lots)

    chosen, stands_for = drawn([lots])
    (place,) = np.flatnonzero(chosen == codes(count)[-1])
    assert stands_for[place] == 1.0
    assert 20 < len(chosen) < 100
    assert stands_for.sum() == pytest.approx(5_001, rel=0.4)
    assert present[7].at(np.array([0, 2_500, 6_000])).tolist() == [2, 2, 0]


def test_a_small_burst_beside_a_large_one_is_read_whole():
    large, small = 50_000, 5
    start_ns = np.concatenate((np.arange(large), 10**12 + np.arange(small))).astype(np.int64)
    found = Candidates(
        codes(large + small), np.full(large + small, 1, np.uint64), start_ns, start_ns + 10
    )

    lots = [Lots(burst) for burst in bursts(found)]
    kinds = list(victims_by_lot(found, lots))

    chosen, stands_for = drawn(lots)
    assert [len(kind) for kind in kinds] == [large, small]
    assert set(found.trace[-small:].tolist()) <= set(chosen.tolist())
    assert VICTIMS / 4 < len(chosen) < VICTIMS
    assert stands_for[np.isin(chosen, found.trace[-small:])].tolist() == [1.0] * small


def test_counts_of_two_bursts_follow_one_another():
    early, late = Presence.of(*columns([(0, 10), (5, 30)])), Presence.of(*columns([(20, 40)]))

    both = Presence.joined([early, late])

    assert both.at(np.array([-1, 6, 12, 25, 50])).tolist() == [0, 2, 1, 1, 0]
