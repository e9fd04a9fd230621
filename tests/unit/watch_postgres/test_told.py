import itertools

from lock_examples import NOW_US, S, first_for_row, on_tuple, session

from why504 import names
from why504.probe.telling.records import RecordSpan
from why504.watch.locks import LockWait, Sample, Session, lock_waits
from why504.watch.told import Ledger

PORT = {names.SERVER_PORT: 5432}


def ledger() -> Ledger:
    return Ledger("db:5432", PORT, interval_s=1.0)


def wait(pid: int, head: Session, since_us: int | None = NOW_US - 5 * S) -> LockWait:
    return LockWait(session(pid, (head.pid,)), head, names.db_lock("t", head.pid), since_us)


def tell(book: Ledger, *waits: LockWait, after_s: float = 0, offset_ns: int = 0):
    return book.tell(waits, now_us=NOW_US + int(after_s * S), offset_ns=offset_ns)


def only(rows: list[RecordSpan], kind: str) -> RecordSpan:
    (row,) = [row for row in rows if row.attributes[names.KIND] == kind]
    return row


def test_an_open_wait_is_told_with_its_resource_pid_and_times():
    row = only(tell(ledger(), wait(2, session(1))), "wait")

    assert row.name == "wait db.lock:t#1"
    assert (row.start_ns, row.end_ns) == ((NOW_US - 5 * S) * 1000, NOW_US * 1000)
    assert row.parent_id is None
    of = row.attributes[names.SNAPSHOT_OF]
    assert row.attributes == {
        "why504.kind": "wait",
        "why504.keep": True,
        "why504.resource": "db.lock:t#1",
        "why504.hold.backend_pid": 2,
        "why504.outcome": "open",
        "why504.snapshot.of": of,
        "why504.snapshot.sequence": 1,
        "server.port": 5432,
    }


def test_the_hold_says_since_when_by_whom_and_with_which_statement():
    head = session(1, began_s=41, query="UPDATE t SET mail = 'a@b.c' WHERE id = 7")

    row = only(tell(ledger(), wait(2, head)), "hold")

    assert (row.start_ns, row.end_ns) == ((NOW_US - 41 * S) * 1000, NOW_US * 1000)
    assert row.attributes["why504.hold.backend_pid"] == 1
    assert row.attributes["why504.lock.session"] == "app, user svc, idle in transaction for 41 s"
    assert row.attributes["db.query.text"] == "UPDATE t SET mail = ? WHERE id = ?"


def test_five_waiters_share_one_hold():
    rows = tell(ledger(), *(wait(pid, session(1)) for pid in range(2, 7)))

    assert sorted(row.name for row in rows) == ["hold db.lock:t#1"] + ["wait db.lock:t#1"] * 5
    assert len({row.span_id for row in rows}) == 6
    assert len({row.trace_id for row in rows}) == 6


def test_what_stays_open_is_told_at_growing_intervals_under_new_ids():
    book = ledger()
    told: list[tuple[float, RecordSpan]] = []
    for tick in range(1200):
        rows = tell(book, wait(2, session(1)), after_s=tick)
        told += [(tick, row) for row in rows if row.attributes[names.KIND] == "wait"]

    assert [at for at, _ in told][:5] == [0, 2, 5, 9, 15]
    assert [row.attributes[names.SNAPSHOT_SEQUENCE] for _, row in told][:3] == [1, 2, 3]
    assert len({row.attributes[names.SNAPSHOT_OF] for _, row in told}) == 1
    assert len({row.span_id for _, row in told}) == len(told) < 20
    assert told[-1][0] - told[-2][0] <= 301


def test_while_a_queue_is_open_something_of_it_is_heard_at_least_every_six_seconds():
    book = ledger()
    heard_s = [tick for tick in range(600) if tell(book, wait(2, session(1)), after_s=tick)]

    assert max(b - a for a, b in itertools.pairwise(heard_s)) <= 6


def test_the_finals_carry_the_id_that_the_snapshots_pointed_to():
    book = ledger()
    opened = tell(book, wait(2, session(1)))

    finals = tell(book, after_s=1)

    for kind, outcome in (("wait", "acquired"), ("hold", "released")):
        final, snapshot = only(finals, kind), only(opened, kind)
        assert f"{final.span_id:016x}" == snapshot.attributes[names.SNAPSHOT_OF]
        assert final.trace_id == snapshot.trace_id
        assert final.start_ns == snapshot.start_ns
        assert final.end_ns == (NOW_US + S) * 1000
        assert final.attributes[names.OUTCOME] == outcome
        assert names.SNAPSHOT_OF not in final.attributes
    assert tell(book, after_s=2) == []


def test_a_hold_ends_with_its_last_waiter():
    book, head = ledger(), session(1)
    tell(book, wait(2, head), wait(3, head))

    first = tell(book, wait(3, head), after_s=1)
    second = tell(book, after_s=1.5)

    assert [row.name for row in first if row.attributes[names.OUTCOME] != "open"] == [
        "wait db.lock:t#1"
    ]
    assert sorted(row.name for row in second) == ["hold db.lock:t#1", "wait db.lock:t#1"]


def test_a_watcher_that_is_started_anew_goes_on_with_the_same_ids():
    before = tell(ledger(), wait(2, session(1)))
    after = tell(ledger(), wait(2, session(1)), after_s=3, offset_ns=12_345)

    for kind in ("wait", "hold"):
        assert only(before, kind).trace_id == only(after, kind).trace_id
        of = names.SNAPSHOT_OF
        assert only(before, kind).attributes[of] == only(after, kind).attributes[of]


def test_servers_do_not_share_ids():
    one = tell(ledger(), wait(2, session(1)))
    other = tell(Ledger("other:5432", PORT, interval_s=1.0), wait(2, session(1)))

    assert only(one, "wait").trace_id != only(other, "wait").trace_id


def test_a_wait_without_a_start_begins_when_it_was_first_seen_and_keeps_that():
    book = ledger()
    first = only(tell(book, wait(2, session(1), None)), "wait")
    again = only(tell(book, wait(2, session(1)), after_s=2), "wait")

    assert first.start_ns == again.start_ns == NOW_US * 1000


def test_times_are_on_the_local_clock():
    rows = tell(ledger(), wait(2, session(1)), offset_ns=3_600_000_000_000)

    assert only(rows, "wait").start_ns == (NOW_US - 5 * S - 3600 * S) * 1000
    assert only(rows, "hold").end_ns == (NOW_US - 3600 * S) * 1000


def test_when_the_head_changes_the_wait_goes_on_behind_the_next_without_overlap():
    book = ledger()
    tell(book, wait(3, session(1)))

    rows = tell(book, wait(3, session(2)), after_s=1)

    old = next(row for row in rows if row.name == "wait db.lock:t#1")
    new = next(row for row in rows if row.name == "wait db.lock:t#2")
    assert old.attributes[names.OUTCOME] == "acquired"
    assert old.end_ns == new.start_ns == (NOW_US + S) * 1000


def test_a_second_wait_behind_the_same_transaction_is_another_record():
    book, head = ledger(), session(1)
    first = tell(book, wait(2, head))
    tell(book, after_s=1)
    later = LockWait(
        session(2, (1,), query_start_us=NOW_US + 2 * S), head, "db.lock:t#1", NOW_US + 2 * S
    )

    second = tell(book, later, after_s=3)

    for kind in ("wait", "hold"):
        assert only(first, kind).trace_id != only(second, kind).trace_id


def test_a_gap_without_samples_is_not_added_to_what_ended_in_it():
    book = ledger()
    tell(book, wait(2, session(1)))

    finals = tell(book, after_s=600)

    assert only(finals, "wait").end_ns == (NOW_US + 2 * S) * 1000


def test_a_session_lock_without_a_transaction_is_held_since_the_first_wait():
    head = session(1, xact_start_us=None)

    row = only(tell(ledger(), wait(3, head, NOW_US - S), wait(2, head, NOW_US - 4 * S)), "hold")

    assert row.start_ns == (NOW_US - 4 * S) * 1000


def test_rows_of_a_queue_become_records_of_the_queue():
    sessions = [session(1), session(2, (1,)), session(3, (2,))]
    sample = Sample(NOW_US, sessions, [*first_for_row(2), on_tuple(3)])
    book = ledger()

    rows = book.tell(lock_waits(sample, book.heads()), now_us=NOW_US, offset_ns=0)

    assert sorted(row.name for row in rows) == ["hold db.lock:t#1"] + ["wait db.lock:t#1"] * 2
    assert book.heads() == {2: 1, 3: 1}
