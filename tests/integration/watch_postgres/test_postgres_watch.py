"""PostgresWatch against a real server: queues, heads, finals, silence, and a frozen server."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import psycopg
import pytest

from lab.stack.postgres import Postgres
from why504 import names
from why504.errors import ConfigError
from why504.probe.telling.records import RecordSpan
from why504.watch.postgres import APPLICATION, PostgresWatch

pytestmark = pytest.mark.postgres


class Collected:
    def __init__(self) -> None:
        self.records: list[RecordSpan] = []
        self.signs_of_life: list[RecordSpan] = []

    def send(self, record: RecordSpan) -> None:
        kept = self.signs_of_life if record.name == names.LOCKS_WATCHED else self.records
        kept.append(record)

    def of(self, kind: str, *, final: bool) -> list[RecordSpan]:
        return [
            record
            for record in list(self.records)
            if record.attributes[names.KIND] == kind
            and (names.SNAPSHOT_OF not in record.attributes) is final
        ]

    def resources(self, kind: str) -> dict[object, set[object]]:
        """Backend pid -> resources it was told to wait for or to hold."""
        found: dict[object, set[object]] = {}
        for record in list(self.records):
            if record.attributes[names.KIND] == kind:
                pid = record.attributes[names.BACKEND_PID]
                found.setdefault(pid, set()).add(record.attributes[names.RESOURCE])
        return found


def eventually(fact: Callable[[], object], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


@pytest.fixture
def dsn(postgres) -> str:
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE friendship_status (id int PRIMARY KEY, level int)")
        connection.execute("INSERT INTO friendship_status SELECT n, 1 FROM generate_series(1, 9) n")
    return url


@contextmanager
def watching(dsn: str, interval_s: float = 0.05) -> Iterator[Collected]:
    collected, stop = Collected(), threading.Event()
    watch = PostgresWatch(dsn, collected, interval_s=interval_s)
    thread = threading.Thread(target=watch.run, args=[stop], name="watch")
    thread.start()
    try:
        yield collected
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def holding(dsn: str, *statements: str) -> Iterator[psycopg.Connection]:
    """A session that is idle in its transaction after `statements`."""
    with closing(psycopg.connect(dsn, application_name="psql")) as connection:
        for statement in statements:
            connection.execute(statement)
        yield connection


@contextmanager
def waiting(dsn: str, count: int, statement: str) -> Iterator[list[int]]:
    """Sessions that run `statement` one after the other; yields their pids once all wait."""
    threads = []
    with ExitStack() as stack:
        connections = [stack.enter_context(session_of(dsn)) for _ in range(count)]
        try:
            with session_of(dsn) as onlooker:
                for connection in connections:
                    thread = threading.Thread(target=run_quietly, args=[connection, statement])
                    thread.start()
                    threads.append(thread)
                    eventually(lambda pid=connection.info.backend_pid: is_waiting(onlooker, pid))
            yield [connection.info.backend_pid for connection in connections]
        finally:
            for connection in connections:
                connection.cancel_safe(timeout=2)
            for thread in threads:
                thread.join(5)


def session_of(dsn: str) -> closing[psycopg.Connection]:
    return closing(psycopg.connect(dsn, autocommit=True))


def run_quietly(connection: psycopg.Connection, statement: str) -> None:
    try:
        connection.execute(statement)
    except psycopg.Error:
        return


def is_waiting(onlooker: psycopg.Connection, pid: int) -> bool:
    asked = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
    row = onlooker.execute(asked, [pid]).fetchone()
    return bool(row and row[0])


ROW_1 = "SELECT * FROM friendship_status WHERE id = 1 FOR UPDATE"
ROW_2 = "SELECT * FROM friendship_status WHERE id = 2 FOR UPDATE"


def test_five_waiters_for_one_row_all_name_the_session_that_holds_it(dsn):
    before_ns = time.time_ns()
    with (
        holding(dsn, ROW_1) as holder,
        waiting(dsn, 5, "UPDATE friendship_status SET level = 77 WHERE id = 1") as waiters,
        watching(dsn) as collected,
    ):
        eventually(lambda: len(collected.resources("wait")) == 5)
        head = holder.info.backend_pid
        hold = collected.of("hold", final=False)[0]

    resource = f"db.lock:friendship_status#{head}"
    assert collected.resources("wait") == {pid: {resource} for pid in waiters}
    assert collected.resources("hold") == {head: {resource}}
    session = str(hold.attributes["why504.lock.session"])
    assert re.fullmatch(r"psql, user postgres, idle in transaction for \d s", session)
    assert hold.attributes["db.query.text"] == (
        "SELECT * FROM friendship_status WHERE id = ? FOR UPDATE"
    )
    starts_ns = [record.start_ns for record in collected.of("wait", final=False)]
    assert before_ns - 5_000_000 < hold.start_ns < min(starts_ns) < time.time_ns()


def test_two_rows_of_one_table_have_two_heads(dsn):
    with (
        holding(dsn, ROW_1) as first,
        holding(dsn, ROW_2) as second,
        waiting(dsn, 2, ROW_1) as of_first,
        waiting(dsn, 2, ROW_2) as of_second,
        watching(dsn) as collected,
    ):
        eventually(lambda: len(collected.resources("wait")) == 4)
        one, two = (
            f"db.lock:friendship_status#{holder.info.backend_pid}" for holder in (first, second)
        )

    assert collected.resources("wait") == {
        **{pid: {one} for pid in of_first},
        **{pid: {two} for pid in of_second},
    }


def test_a_locked_table_is_named(dsn):
    with (
        holding(dsn, "LOCK TABLE friendship_status") as holder,
        waiting(dsn, 2, "SELECT count(*) FROM friendship_status") as waiters,
        watching(dsn) as collected,
    ):
        eventually(lambda: len(collected.resources("wait")) == 2)
        resource = f"db.lock:friendship_status#{holder.info.backend_pid}"

    assert collected.resources("wait") == {pid: {resource} for pid in waiters}


def test_a_migration_that_waits_itself_is_not_blamed_for_those_behind_it(dsn):
    with (
        holding(dsn, "SELECT * FROM friendship_status") as reader,
        waiting(dsn, 1, "ALTER TABLE friendship_status ADD COLUMN score int"),
        waiting(dsn, 3, "SELECT level FROM friendship_status"),
        watching(dsn) as collected,
    ):
        eventually(lambda: len(collected.resources("wait")) == 4)

        assert set(collected.resources("hold")) == {reader.info.backend_pid}


def test_an_insert_of_the_same_key_waits_for_its_table(dsn):
    insert = "INSERT INTO friendship_status VALUES (100, 1)"
    with (
        holding(dsn, insert) as holder,
        waiting(dsn, 1, insert),
        watching(dsn) as collected,
    ):
        eventually(lambda: collected.resources("wait"))
        resource = f"db.lock:friendship_status#{holder.info.backend_pid}"

    assert list(collected.resources("wait").values()) == [{resource}]


def test_a_deadlock_names_each_by_the_other_and_ends_when_postgresql_ends_it(dsn):
    with (
        holding(dsn, ROW_1) as one,
        holding(dsn, ROW_2) as other,
        watching(dsn) as collected,
    ):
        threads = [
            threading.Thread(target=run_quietly, args=[one, ROW_2]),
            threading.Thread(target=run_quietly, args=[other, ROW_1]),
        ]
        for thread in threads:
            thread.start()
        eventually(lambda: len(collected.resources("wait")) == 2)
        eventually(lambda: len(collected.of("wait", final=True)) == 2)
        for thread in threads:
            thread.join(5)
        pids = one.info.backend_pid, other.info.backend_pid

    assert collected.resources("wait") == {
        pids[0]: {f"db.lock:friendship_status#{pids[1]}"},
        pids[1]: {f"db.lock:friendship_status#{pids[0]}"},
    }


def test_the_applications_own_account_is_enough_to_see_who_blocks_it(dsn):
    with session_of(dsn) as admin:
        admin.execute("DROP ROLE IF EXISTS svc")
        admin.execute("CREATE ROLE svc LOGIN")
        admin.execute("GRANT ALL ON friendship_status TO svc")
    own = dsn.replace("postgres@", "svc@")
    with (
        holding(dsn, ROW_1) as holder,
        waiting(own, 2, ROW_1) as waiters,
        watching(own) as collected,
    ):
        eventually(lambda: len(collected.resources("wait")) == 2)
        head = holder.info.backend_pid
        hold = collected.of("hold", final=False)[0]
        first_wait_ns = min(record.start_ns for record in collected.of("wait", final=False))

    resource = f"db.lock:friendship_status#{head}"
    assert collected.resources("wait") == {pid: {resource} for pid in waiters}
    assert hold.attributes["why504.lock.session"] == "psql, user postgres"
    assert "db.query.text" not in hold.attributes
    assert hold.start_ns == first_wait_ns
    with session_of(dsn) as admin:
        admin.execute("DROP OWNED BY svc")
        admin.execute("DROP ROLE svc")


def test_finals_come_once_the_lock_is_released(dsn):
    with (
        holding(dsn, ROW_1) as holder,
        waiting(dsn, 3, "UPDATE friendship_status SET level = 2 WHERE id = 1") as waiters,
        watching(dsn) as collected,
    ):
        eventually(lambda: len(collected.resources("wait")) == 3)
        assert collected.of("wait", final=True) == []
        holder.rollback()
        released_ns = time.time_ns()
        head = f"db.lock:friendship_status#{holder.info.backend_pid}"
        eventually(lambda: len(finals_on(collected, head)) == 4)

    finals = finals_on(collected, head)
    waits = {record.attributes[names.BACKEND_PID]: record for record in finals[:3]}
    assert set(waits) == set(waiters)
    assert {record.attributes[names.OUTCOME] for record in finals[:3]} == {"acquired"}
    assert finals[3].attributes[names.OUTCOME] == "released"
    for record in finals:
        assert abs(record.end_ns - released_ns) < 2_000_000_000
    told_of = {
        record.attributes[names.SNAPSHOT_OF]
        for record in collected.records
        if names.SNAPSHOT_OF in record.attributes
    }
    assert {f"{record.span_id:016x}" for record in finals} <= told_of


def finals_on(collected: Collected, resource: str) -> list[RecordSpan]:
    """Finals on a resource, waits first."""
    finals = collected.of("wait", final=True) + collected.of("hold", final=True)
    return [record for record in finals if record.attributes[names.RESOURCE] == resource]


def test_it_says_without_a_gap_that_it_watches_and_nothing_while_the_server_is_gone(dsn):
    with watching(dsn, interval_s=0.1) as collected:
        eventually(lambda: len(collected.signs_of_life) >= 2)
    first, second = collected.signs_of_life[:2]

    assert first.end_ns - first.start_ns >= 2_000_000_000
    assert first.end_ns == second.start_ns
    with watching("postgresql://postgres@127.0.0.1:9/none", interval_s=0.1) as nobody:
        time.sleep(2.5)
    assert nobody.signs_of_life == []


def test_while_nobody_waits_nothing_is_sent_and_the_lock_manager_is_left_alone(dsn):
    with (
        holding(dsn, ROW_1),
        watching(dsn, interval_s=0.01) as collected,
        psycopg.connect(dsn, autocommit=True) as onlooker,
    ):
        eventually(lambda: watch_session(onlooker))
        idle = {watch_session(onlooker)[1] for _ in range(100)}
        assert collected.records == []
        with waiting(dsn, 1, ROW_1):
            busy: set[str] = set()
            eventually(lambda: busy.add(watch_session(onlooker)[1]) or heavy(busy))

    assert not heavy(idle)


def heavy(statements: set[str]) -> bool:
    return any("pg_locks" in text or "pg_blocking_pids" in text for text in statements)


def watch_session(onlooker: psycopg.Connection) -> tuple[int, str] | None:
    return onlooker.execute(
        "SELECT pid, query FROM pg_stat_activity"
        " WHERE application_name = %s AND datname = current_database()",
        [APPLICATION],
    ).fetchone()


def test_a_wait_in_another_database_is_another_watchs_business(dsn, postgres):
    with (
        holding(dsn, ROW_1),
        waiting(dsn, 1, ROW_1),
        watching(postgres.new_database(), interval_s=0.01) as elsewhere,
        watching(dsn) as here,
    ):
        eventually(lambda: here.resources("wait"))
        time.sleep(0.1)

        assert elsewhere.records == []


def test_its_session_can_not_write_and_is_limited(dsn):
    watch = PostgresWatch(dsn, Collected())
    with closing(watch._connect()) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE t (n int)")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(5)")


def test_a_frozen_session_is_left_within_its_limit_and_the_watch_goes_on(dsn):
    with (
        psycopg.connect(dsn, autocommit=True) as onlooker,
        holding(dsn, ROW_1),
        watching(dsn) as collected,
    ):
        eventually(lambda: watch_session(onlooker))
        frozen, _ = watch_session(onlooker)
        os.kill(frozen, signal.SIGSTOP)
        try:
            with waiting(dsn, 1, ROW_1) as waiters:
                eventually(lambda: collected.resources("wait"), within_s=6)
                assert set(collected.resources("wait")) == set(waiters)
        finally:
            os.kill(frozen, signal.SIGCONT)


@pytest.mark.slow
def test_a_frozen_server_is_watched_again_once_it_answers(dsn):
    with psycopg.connect(dsn, autocommit=True) as onlooker, watching(dsn) as collected:
        eventually(lambda: watch_session(onlooker))
        with frozen_server(onlooker):
            time.sleep(2.5)
        with holding(dsn, ROW_1), waiting(dsn, 1, ROW_1):
            eventually(lambda: collected.resources("wait"), within_s=8)


def test_a_frozen_server_does_not_keep_the_watch_from_stopping(dsn):
    with (
        psycopg.connect(dsn, autocommit=True) as onlooker,
        ExitStack() as thawed_last,
        watching(dsn),
    ):
        eventually(lambda: watch_session(onlooker))
        thawed_last.enter_context(frozen_server(onlooker))
        time.sleep(0.2)
        asked_to_stop = time.monotonic()

    assert time.monotonic() - asked_to_stop < 5


@contextmanager
def frozen_server(onlooker: psycopg.Connection) -> Iterator[None]:
    """The server neither answers the watch nor lets anybody in."""
    (folder,) = onlooker.execute("SHOW data_directory").fetchone()
    (watch, _) = watch_session(onlooker)
    with open(os.path.join(folder, "postmaster.pid")) as lines:
        postmaster = int(lines.readline())
    pids = [postmaster, watch]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_watch_whose_session_is_terminated_opens_another(dsn):
    with (
        psycopg.connect(dsn, autocommit=True) as onlooker,
        watching(dsn) as collected,
        holding(dsn, ROW_1),
        waiting(dsn, 1, ROW_1),
    ):
        eventually(lambda: collected.resources("wait"))
        first, _ = watch_session(onlooker)
        onlooker.execute("SELECT pg_terminate_backend(%s)", [first])
        eventually(lambda: (now := watch_session(onlooker)) and now[0] != first)
        told = len(collected.of("wait", final=False))
        eventually(lambda: len(collected.of("wait", final=False)) > told)

    (only_wait,) = {record.trace_id for record in collected.of("wait", final=False)}
    assert only_wait


def test_the_watch_waits_for_a_server_that_is_not_there_yet(small, free_port):
    with watching(small.url.replace(str(small.port), str(free_port))) as collected:
        time.sleep(0.3)
        assert any(thread.name == "watch" for thread in threading.enumerate())

    assert collected.records == []


def test_a_server_without_a_free_connection_is_watched_as_soon_as_it_has_one(small):
    with ExitStack() as stack:
        taken = [stack.enter_context(closing(psycopg.connect(small.url))) for _ in range(3)]
        taken[0].execute("LOCK TABLE accounts")
        with waiting(small.url, 1, "SELECT * FROM accounts"):
            fill(stack, small.url)
            with watching(small.url) as collected:
                time.sleep(0.3)
                assert collected.records == []
                taken[1].close()
                eventually(lambda: collected.resources("wait"))


def fill(stack: ExitStack, url: str) -> None:
    for _ in range(50):
        try:
            stack.enter_context(closing(psycopg.connect(url)))
        except psycopg.OperationalError:
            return
    pytest.fail("the server never ran out of connections")


def test_a_prepared_transaction_is_named_as_the_holder(small):
    with closing(psycopg.connect(small.url)) as connection:
        connection.tpc_begin(connection.xid(1, "gtrid", "bqual"))
        connection.execute("LOCK TABLE accounts")
        connection.tpc_prepare()
        with (
            waiting(small.url, 1, "SELECT * FROM accounts"),
            watching(small.url) as collected,
        ):
            eventually(lambda: collected.resources("hold"))
        connection.tpc_rollback()

    assert collected.resources("hold") == {0: {"db.lock:accounts#0"}}


@pytest.fixture(scope="module")
def small(tmp_path_factory, postgres) -> Iterator[Postgres]:
    """A server of few connections, which takes prepared transactions."""
    folder = tmp_path_factory.mktemp("small")
    with Postgres.start(folder, max_connections=8, max_prepared_transactions="2") as running:
        with session_of(running.url) as connection:
            connection.execute("CREATE TABLE accounts (id int)")
        yield running


def test_what_is_no_address_of_postgresql_is_refused_without_repeating_it():
    with pytest.raises(ConfigError) as refused:
        PostgresWatch("postgresql+psycopg://svc:hunter2@db/main", Collected())

    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
