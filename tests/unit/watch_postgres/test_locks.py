import pytest
from hypothesis import given
from hypothesis import strategies as st
from lock_examples import NOW_US, S, first_for_row, on_tuple, session

from why504.watch.locks import Lock, Sample, describe, heads, lock_waits


def named(sample: Sample, preferred: dict[int, int] | None = None) -> dict[int, str]:
    return {wait.waiter.pid: wait.resource for wait in lock_waits(sample, preferred or {})}


def test_everybody_in_a_row_queue_waits_for_the_head_and_not_for_one_another():
    sessions = [session(1), session(2, (1,)), session(3, (2,)), session(4, (2, 3))]
    sample = Sample(NOW_US, sessions, [*first_for_row(2), on_tuple(3), on_tuple(4)])

    assert named(sample) == dict.fromkeys((2, 3, 4), "db.lock:t#1")


def test_two_rows_of_one_table_have_two_heads():
    sessions = [session(1), session(2), session(3, (1,)), session(4, (2,))]
    sample = Sample(NOW_US, sessions, [*first_for_row(3), *first_for_row(4)])

    assert named(sample) == {3: "db.lock:t#1", 4: "db.lock:t#2"}


def test_a_deadlock_names_the_direct_blocker_and_ends():
    sessions = [session(1, (2,)), session(2, (1,)), session(3, (1,))]
    sample = Sample(NOW_US, sessions, [*first_for_row(1), *first_for_row(2), on_tuple(3)])

    assert named(sample) == {1: "db.lock:t#2", 2: "db.lock:t#1", 3: "db.lock:t#1"}


def test_of_several_heads_the_oldest_transaction_is_named():
    sessions = [session(1, began_s=3), session(2, began_s=30), session(3, (1, 2))]

    assert named(Sample(NOW_US, sessions, [on_tuple(3)])) == {3: "db.lock:t#2"}


def test_a_head_named_before_stays_named_while_it_blocks():
    sessions = [session(1, began_s=3), session(2, began_s=30), session(3, (1, 2))]
    sample = Sample(NOW_US, sessions, [on_tuple(3)])

    assert named(sample, {3: 1}) == {3: "db.lock:t#1"}
    assert named(sample, {3: 9}) == {3: "db.lock:t#2"}


def test_a_prepared_transaction_can_be_the_head():
    (wait,) = lock_waits(Sample(NOW_US, [session(2, (0,))], first_for_row(2)), {})

    assert wait.resource == "db.lock:t#0"
    assert describe(wait.head, NOW_US) == "prepared transaction"


@pytest.mark.parametrize(
    "sample",
    [
        Sample(NOW_US),
        Sample(NOW_US, [session(2, (1,))], [on_tuple(2)]),
        Sample(NOW_US, [session(1), session(2, (1,))], []),
        Sample(NOW_US, [session(1), session(2, (1,))], [Lock(2, "tuple", True, "t", None)]),
    ],
    ids=["nobody", "head gone", "locks gone", "granted meanwhile"],
)
def test_a_wait_that_ended_while_it_was_read_is_not_told(sample):
    assert lock_waits(sample, {}) == []


@pytest.mark.parametrize(
    ("locks", "relation"),
    [
        ([Lock(2, "relation", False, "orders", None)], "orders"),
        ([Lock(2, "advisory", False, None, None)], "advisory"),
        ([Lock(2, "transactionid", False, None, None)], "transaction"),
        (
            [
                Lock(2, "transactionid", False, None, None),
                Lock(2, "relation", True, "orders", None),
                Lock(2, "relation", True, "mine", None),
                Lock(1, "relation", True, "orders", None),
            ],
            "orders",
        ),
        (
            [
                Lock(2, "transactionid", False, None, None),
                Lock(2, "relation", True, "a", None),
                Lock(2, "relation", True, "b", None),
                Lock(1, "relation", True, "a", None),
                Lock(1, "relation", True, "b", None),
            ],
            "transaction",
        ),
    ],
    ids=["table", "advisory", "unknown", "one table in common", "two in common"],
)
def test_the_table_is_named_when_it_is_certain(locks, relation):
    sample = Sample(NOW_US, [session(1), session(2, (1,))], locks)

    assert named(sample) == {2: f"db.lock:{relation}#1"}


def test_a_session_is_described_for_people():
    psql = session(1, application="psql", user="postgres", state_change_us=NOW_US - 41 * S)

    assert describe(psql, NOW_US) == "psql, user postgres, idle in transaction for 41 s"


def test_a_session_that_may_not_be_seen_is_described_by_what_is_known():
    hidden = session(1, application="", user="", state="", state_change_us=None)

    assert describe(hidden, NOW_US) == "unnamed session"


PIDS = st.integers(min_value=1, max_value=8)


@given(st.dictionaries(PIDS, st.lists(PIDS, min_size=1, max_size=4), min_size=1))
def test_heads_exist_in_every_graph_and_wait_for_nobody_unless_it_is_a_deadlock(blockers):
    for pid in blockers:
        found = heads(pid, blockers)

        assert found
        waiting = {head for head in found if head in blockers}
        assert not waiting or found == set(blockers[pid])
