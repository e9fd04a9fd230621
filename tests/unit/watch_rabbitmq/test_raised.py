from itertools import pairwise

from opentelemetry.trace import format_span_id

from why504 import names
from why504.probe.telling.records import RecordSpan
from why504.testing import SequentialIds
from why504.watch.alarms import Blocked, Trouble
from why504.watch.raised import Raised

S = 1_000_000_000
T0 = 1_795_000_000 * S
MEMORY = Trouble("rabbit@a", "memory")
DISK = Trouble("rabbit@b", "disk")


class Book:
    def __init__(self) -> None:
        self._raised = Raised({names.SERVER_PORT: 15672}, SequentialIds(), interval_s=2.0)

    def tell(self, at_s: float, *troubles: Trouble, count: Blocked | None = None):
        now_ns = T0 + round(at_s * S)
        return self._raised.tell(troubles, since_ns=now_ns - S // 10, now_ns=now_ns, count=count)


def opened(rows: list[RecordSpan]) -> list[RecordSpan]:
    return [row for row in rows if names.SNAPSHOT_OF in row.attributes]


def finals(rows: list[RecordSpan]) -> list[RecordSpan]:
    return [row for row in rows if names.SNAPSHOT_OF not in row.attributes]


def test_an_alarm_is_told_at_once_as_a_hold_of_its_node():
    [row] = Book().tell(0, MEMORY, count=Blocked(14, 2))

    assert row.name == "hold broker:rabbit@a"
    assert (row.start_ns, row.end_ns) == (T0 - S // 10, T0)
    assert row.attributes == {
        "why504.kind": "hold",
        "why504.keep": True,
        "why504.resource": "broker:rabbit@a",
        "why504.lock.session": "memory alarm of node rabbit@a",
        "why504.broker.trouble": "memory",
        "why504.broker.blocked_connections": 14,
        "why504.broker.blocking_connections": 2,
        "why504.outcome": "open",
        "why504.snapshot.of": row.attributes[names.SNAPSHOT_OF],
        "why504.snapshot.sequence": 1,
        "server.port": 15672,
    }


def test_an_alarm_that_is_lifted_ends_under_the_id_it_was_told_by():
    book = Book()
    [told] = book.tell(0, MEMORY)

    [final] = book.tell(2)

    assert told.attributes[names.SNAPSHOT_OF] == format_span_id(final.span_id)
    assert final.trace_id == told.trace_id
    assert (final.start_ns, final.end_ns) == (told.start_ns, T0 + 2 * S)
    assert final.attributes[names.OUTCOME] == "released"
    assert book.tell(4) == []


def test_an_open_alarm_is_told_every_few_seconds_under_new_ids_and_one_trace():
    book = Book()

    rows = [row for second in range(0, 60, 2) for row in book.tell(second, MEMORY)]

    assert len(rows) == len(opened(rows)) == len({row.span_id for row in rows})
    assert len({row.trace_id for row in rows}) == 1
    assert [row.attributes[names.SNAPSHOT_SEQUENCE] for row in rows] == list(
        range(1, len(rows) + 1)
    )
    gaps_s = [(b.end_ns - a.end_ns) / S for a, b in pairwise(rows)]
    assert max(gaps_s) <= 6


def test_the_moment_with_most_blocked_connections_is_told_and_none_is_counted_twice():
    book = Book()
    book.tell(0, MEMORY, count=Blocked(2, 9))
    book.tell(2, MEMORY, count=Blocked(14, 0))
    book.tell(4, MEMORY, count=None)
    book.tell(6, MEMORY, count=Blocked(1, 3))

    [final] = book.tell(8)

    assert final.attributes[names.BROKER_BLOCKED] == 14
    assert final.attributes[names.BROKER_BLOCKING] == 0


def test_of_two_alarms_each_ends_by_itself():
    book = Book()
    both = book.tell(0, MEMORY, DISK)

    rows = book.tell(2, DISK)

    assert {row.attributes[names.RESOURCE] for row in both} == {
        "broker:rabbit@a",
        "broker:rabbit@b",
    }
    [final] = finals(rows)
    assert final.attributes[names.BROKER_TROUBLE] == "memory"


def test_after_a_gap_an_alarm_lasted_no_longer_than_one_sample_more_would_have_seen():
    book = Book()
    book.tell(0, MEMORY)

    [final] = book.tell(600)

    assert final.end_ns == T0 + 4 * S
