"""A view that follows a real store, and what is read of it each time."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
from why504.model import Window
from why504.receive.decode import Decoder
from why504.receive.segments import FAN_IN, Segments
from why504.stores.following import Following
from why504.stores.parquet import ParquetStore
from why504.stores.records import Merging, Row, evidence

WINDOW = Window(T0_NS, T0_NS + 3600 * SECOND_NS)


class Folder:
    def __init__(self, path):
        self.path = path
        self.segments = Segments(path / "segments")
        self.store = ParquetStore(path)
        self.seen: set[str] = set()
        self._written = 0

    def write(self, *spans, instance="shop-1") -> None:
        resource = {"service.name": "shop", "service.instance.id": instance}
        self._written += 1
        batch = Decoder().decode(protobuf(*spans, resource=resource))
        self.segments.write(f"{self._written:04}", [batch])

    def newer(self) -> list[str]:
        return sorted(Row._make(row).name for row in self.store.newer(self.seen, WINDOW))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def at(seconds: float) -> int:
    return T0_NS + round(seconds * SECOND_NS)


def told(trace: bytes, start_s: float, end_s: float, sequence: int | None, **more) -> dict:
    """A request: told while it is open, or ended without a sequence."""
    own = trace[:8]
    if sequence is None:
        return span(trace_id=trace, span_id=own, start_s=start_s, end_s=end_s)
    attributes = {
        "why504.kind": "snapshot",
        "why504.snapshot.of": own.hex(),
        "why504.snapshot.sequence": sequence,
        "why504.snapshot.kind": "server",
        "why504.inflight.age_seconds": end_s - start_s,
        "code.file.path": "a.py",
        **more,
    }
    return span(trace_id=trace, start_s=start_s, end_s=end_s, attributes=attributes)


def test_each_segment_is_read_once(folder):
    assert folder.newer() == []
    folder.write(span(name="a"))
    folder.write(span(name="b"))
    assert folder.newer() == ["a", "b"]
    assert folder.newer() == []

    folder.write(span(name="c"))

    assert folder.newer() == ["c"]


def test_a_merged_segment_whose_parts_were_read_is_not_read_again(folder):
    for number in range(FAN_IN):
        folder.write(span(name=f"{number:02}"))
        folder.newer()

    assert folder.segments.compact("merged")

    assert len(list((folder.path / "segments").glob("*.parquet"))) == 1
    assert folder.newer() == []
    folder.write(span(name="after"))
    assert folder.newer() == ["after"]


def test_of_a_merged_segment_with_an_unread_part_only_what_may_be_of_that_is_read(folder):
    for number in range(FAN_IN - 1):
        folder.write(span(name=f"{number:02}", start_s=number, end_s=number + 1))
    folder.newer()
    folder.write(span(name="new", start_s=0, end_s=13.5), span(name="too", start_s=14, end_s=30))

    assert folder.segments.compact("merged")

    assert folder.newer() == ["13", "14", "new", "too"]


def test_a_segment_of_somebody_else_is_left_out_and_the_others_are_read(folder, caplog):
    folder.write(span(name="a"))
    folder.newer()
    (folder.path / "segments" / "0000.parquet").write_bytes(b"garbage")
    folder.write(span(name="b"))

    assert folder.newer() == ["b"]
    assert caplog.text.count("0000.parquet is left out") == 1


def test_the_view_follows_a_request_from_its_first_snapshot_to_its_end(folder):
    following = Following(folder.store)
    trace = b"r" * 16
    assert following.look(at(0)).open == []

    folder.write(told(trace, 0, 1, 1))
    assert [stuck.age_s for stuck in following.look(at(1)).open] == [1]
    folder.write(told(trace, 0, 2.5, 2))
    now = following.look(at(3))
    assert [(stuck.age_s, str(stuck.site)) for stuck in now.open] == [(2.5, "a.py:0")]
    folder.write(told(trace, 0, 4.75, 3, **{"code.file.path": "b.py"}))
    assert [str(stuck.site) for stuck in following.look(at(5)).open] == ["b.py:0"]
    folder.write(told(trace, 0, 6, None))
    folder.write(told(trace, 0, 4.75, 3), told(trace, 0, 2.5, 2))

    assert following.look(at(6)).open == []


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_following_tells_what_reading_all_at_once_tells(tmp_path_factory, seed):
    rng = random.Random(seed)
    rows = []
    for number in range(rng.randint(1, 25)):
        trace = bytes([number + 1]) * 16
        start_s = rng.uniform(0, 30)
        for sequence in range(1, rng.randint(2, 6)):
            line = {"code.file.path": rng.choice(["a.py", "b.py"])}
            rows.append(told(trace, start_s, start_s + 1.5**sequence, sequence, **line))
        if rng.random() < 0.3:
            rows.append(told(trace, start_s, start_s + 9, None))
    rows += rng.sample(rows, len(rows) // 4)
    rng.shuffle(rows)
    folder = Folder(tmp_path_factory.mktemp("store"))
    following = Following(folder.store)
    now = following.look(at(50))
    while rows:
        taken = rng.randint(1, len(rows))
        folder.write(*rows[:taken])
        rows = rows[taken:]
        if rng.random() < 0.7:
            now = following.look(at(50))
        while rng.random() < 0.3 and folder.segments.compact(f"merged-{rng.random()}"):
            pass
    now = following.look(at(50))

    assert now == Following(ParquetStore(folder.path)).look(at(50))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_rows_in_any_portions_and_order_merge_to_the_same(seed):
    """Hostile ones too: sequences that go back, copies that differ, snapshots of what ended."""
    rng = random.Random(seed)
    alike = [hostile_row(rng) for _ in range(3)]
    rows = []
    for _ in range(rng.randint(1, 30)):
        row = rng.choice(alike)
        if row.snapshot_of:
            later = {"sequence": rng.choice([None, 1, 2, 3]), "end_ns": rng.randint(2, 9)}
            row = row._replace(span_id=rng.randbytes(8), **later)
        if rng.random() < 0.3:
            field = rng.choice(["name", "parent_id", "start_ns", "instance", "record", "resource"])
            row = row._replace(**{field: getattr(hostile_row(rng), field)})
        rows.append(row)
    whole = evidence(rows, WINDOW, {})
    shuffled = rng.sample(rows, len(rows)) + rng.sample(rows, len(rows) // 3)
    merging = Merging()
    told_ns = {}
    items = {}
    while shuffled:
        taken = rng.randint(1, len(shuffled))
        added = merging.add(shuffled[:taken])
        shuffled = shuffled[taken:]
        for item in merging.items(added.changed):
            items[item.span_id] = item
            told_ns[item.span_id] = item.last_seen_ns
        told_ns |= {span_id.hex(): ns for (_, span_id), ns in added.again.items()}

    final = merging.items()
    assert sorted(map(repr, final)) == sorted(
        map(repr, [*whole.spans, *whole.waits, *whole.holds, *whole.stalls])
    )
    assert {item.span_id: item for item in final} == {
        span_id: replace(item, last_seen_ns=told_ns[span_id]) for span_id, item in items.items()
    }


def hostile_row(rng: random.Random) -> Row:
    snapshot = rng.random() < 0.7
    age = f'"why504.inflight.age_seconds":{rng.choice(["1", "2.5", "1e3"])}'
    text = rng.choice(["{%s}", '{"a":"x",%s}', '{%s,"code.file.path":"p.py"}', '{"b":1}'])
    return Row(
        trace_id=b"t" * 16,
        span_id=rng.choice([b"a" * 8, b"b" * 8]),
        parent_id=rng.choice([None, b"p" * 8]),
        name=rng.choice(["n", "m"]),
        kind=2,
        start_ns=rng.choice([1, 2]),
        end_ns=rng.randint(2, 9),
        status=0,
        service="s",
        instance=rng.choice(["i", "j"]),
        record=rng.choice(["snapshot", "wait"]) if snapshot else rng.choice([None, "hold"]),
        resource=rng.choice([None, "r"]),
        snapshot_of=rng.choice([b"a" * 8, b"b" * 8]) if snapshot else None,
        sequence=rng.choice([None, 1, 2, 3]) if snapshot else None,
        http_status=None,
        attributes=text % age if "%s" in text else text,
    )


def test_what_the_view_forgets_is_forgotten_by_the_rows_too(folder):
    following = Following(folder.store)
    folder.write(span(start_s=0, end_s=1))
    following.look(at(2))
    assert len(following._merging) == 1

    folder.write(span(start_s=950, end_s=951))
    now = following.look(at(952))

    assert now.kept == len(following._merging) == 1
