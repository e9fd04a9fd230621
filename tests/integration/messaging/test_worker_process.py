"""The worker as a process, on both sources: the same promises from RabbitMQ and from the outbox."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from messaging_rig import Outbox, program, until
from worker_of_tests import TABLES

from service.application.settings import Settings

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq, pytest.mark.slow]

WORKER = "worker_of_tests"


def told(conversation_id: str) -> dict[str, object]:
    return {
        "event_id": 1,
        "conversation_id": conversation_id,
        "user_id": "u1",
        "ended_at": "2026-01-02T03:04:05+00:00",
        "transcript": [{"speaker": "user", "text": "hello"}],
    }


@dataclass
class Bench:
    """One way from a request to the worker's effect."""

    outbox: Outbox
    settings: Settings
    relayed: bool
    free_port: int

    def send(self, *conversation_ids: str) -> None:
        for each in conversation_ids:
            self.outbox.add(payload=told(each))

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        with program(WORKER, self.settings, SERVICE_METRICS_PORT=str(self.free_port)) as process:
            yield process

    def effects(self) -> list[str]:
        return sorted(row[0] for row in self.outbox.run("SELECT conversation_id FROM effect"))

    def attempts(self) -> int:
        return self.outbox.run("SELECT count(*) FROM attempt")[0][0]


UPDATE = {"delivery_limit": 3, "worker_concurrency": 4, "worker_shutdown_s": 3.0}


@pytest.fixture
def from_rabbitmq(outbox, settings, free_port) -> Iterator[Bench]:
    outbox.run(TABLES)
    settings = settings.model_copy(update=UPDATE)
    with program("service.relay", settings):
        yield Bench(outbox, settings, True, free_port)


@pytest.fixture
def from_outbox(outbox, settings, free_port) -> Bench:
    outbox.run(TABLES)
    update = {**UPDATE, "broker_url": None}
    return Bench(outbox, settings.model_copy(update=update), False, free_port)


@pytest.fixture(params=["from_rabbitmq", "from_outbox"])
def bench(request) -> Bench:
    return request.getfixturevalue(request.param)


@pytest.fixture
def set_aside(outbox, dead_letters) -> Callable[[], list[str]]:
    """The reasons of all dead letters so far, wherever they lie."""
    seen: list[str] = []

    def reasons() -> list[str]:
        for properties, _ in dead_letters.take_all():
            headers = properties.headers
            seen.append(headers.get("set_aside_reason") or headers["x-death"][0]["reason"])
        rows = outbox.run("SELECT set_aside FROM outbox WHERE set_aside IS NOT NULL")
        return [*seen, *(row[0] for row in rows)]

    return reasons


def test_every_message_takes_effect_once(bench, metric):
    names = [f"ok{n:02}" for n in range(30)]
    bench.send(*names)
    with bench.worker():
        until(lambda: bench.effects() == names, "all took effect")
        done = lambda: metric("messaging_client_consumed_messages_total", outcome="done")  # noqa: E731
        until(lambda: done() == 30, "all are counted")

    assert bench.attempts() == 30


def test_a_killed_worker_s_message_comes_again_and_its_effect_does_not(bench, metric):
    bench.send("dies")
    with bench.worker() as worker:
        assert worker.wait(20) == -signal.SIGKILL
    with bench.worker():
        counted = lambda: metric("messaging_client_consumed_messages_total", outcome="duplicate")  # noqa: E731
        until(lambda: counted() == 1, "it came again", 25)
        assert metric("messaging_client_redelivered_messages_total") == 1

    assert bench.effects() == ["dies"]


def test_garbage_and_poison_are_set_aside_with_a_reason_while_others_pass(bench, set_aside):
    bench.outbox.add(payload={"nothing": "of use"})
    bench.send("poison", "ok")
    with bench.worker() as worker:
        until(lambda: bench.effects() == ["ok"], "the good one passes")
        until(lambda: len(set_aside()) == 2, "both are set aside", 25)
        assert worker.poll() is None

    garbage, poison = sorted(set_aside())
    assert bench.attempts() == 1 + 3
    assert "'event_id'" in garbage
    assert poison in {"delivery_limit", "delivered too often"}


def test_many_that_are_set_aside_at_once_are_each_kept_once(bench, set_aside):
    for _ in range(24):
        bench.outbox.add(payload={"nothing": "of use"})
    with bench.worker() as worker:
        until(lambda: len(set_aside()) >= 24, "all are set aside", 25)
        bench.send("ok")
        until(lambda: bench.effects() == ["ok"], "the good one passes")
        assert worker.poll() is None

    assert len(set_aside()) == 24


def test_what_can_t_be_done_now_is_kept_and_not_counted_against_its_deliveries(
    bench, set_aside, metric
):
    bench.send("later")
    with bench.worker():
        until(lambda: bench.attempts() > 3, "it is tried more often than it may be delivered")
        bench.outbox.run("INSERT INTO switch VALUES (true)")
        until(lambda: bench.effects() == ["later"], "it takes effect in the end")
        assert metric("messaging_process_retries_total") >= 3

    assert set_aside() == []


def test_a_worker_that_is_told_to_end_finishes_what_it_began_and_puts_back_the_rest(bench):
    bench.send("slow", "later")
    with bench.worker() as worker:
        until(lambda: bench.attempts() >= 2, "both are begun")
        bench.send("ok")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(12) == 0
    assert "slow" in bench.effects()
    bench.outbox.run("INSERT INTO switch VALUES (true)")
    with bench.worker():
        until(lambda: bench.effects() == ["later", "ok", "slow"], "another one does the rest")


def test_a_second_copy_of_a_message_has_no_effect(from_rabbitmq, queue, metric):
    counted = lambda: metric("messaging_client_consumed_messages_total", outcome="duplicate")  # noqa: E731
    with from_rabbitmq.worker():
        until(lambda: metric("messaging_consumer_connected") == 1, "the worker is there")
        for _ in range(3):
            queue.put(json.dumps(told("ok")).encode(), message_id="the same")
        until(lambda: counted() == 2, "the copies are known")

    assert from_rabbitmq.effects() == ["ok"]


def test_what_somebody_else_wrote_to_the_queue_harms_nobody(
    from_rabbitmq, queue, set_aside, metric
):
    odd = {"message_id": "m", "timestamp": 2**62, "headers": {"sent_at": 7, "traceparent": 7}}
    with from_rabbitmq.worker() as worker:
        until(lambda: metric("messaging_consumer_connected") == 1, "the worker is there")
        queue.put(json.dumps(told("ok")).encode())
        for body in (b"\xff\x00 not JSON", b"[" * 50_000, b"null", b'"x"'):
            queue.put(body, **odd)
        from_rabbitmq.send("ok")
        until(lambda: len(set_aside()) == 5, "all are set aside")
        until(lambda: from_rabbitmq.effects() == ["ok"], "others pass")
        assert worker.poll() is None

    assert sum("no message id" in reason for reason in set_aside()) == 1
    assert sum("not JSON" in reason for reason in set_aside()) == 2


def test_a_frozen_broker_holds_up_neither_the_worker_s_loop_nor_its_end(
    from_rabbitmq, rabbitmq, metric
):
    with from_rabbitmq.worker() as worker:
        until(lambda: metric("messaging_consumer_connected") == 1, "the worker is there")
        rabbitmq.freeze()
        try:
            time.sleep(0.3)
            worker.send_signal(signal.SIGTERM)
            began_s = time.monotonic()
            assert worker.wait(5) == 0
            took_s = time.monotonic() - began_s
        finally:
            rabbitmq.thaw()

    assert took_s < 3


def test_a_frozen_database_stops_the_worker_only_as_long_as_it_lasts(bench, postgres):
    names = [f"ok{n}" for n in range(10)]
    bench.send(*names[:5])
    with bench.worker() as worker:
        until(lambda: bench.effects() == names[:5], "the worker is there")
        postgres.process.freeze()
        try:
            time.sleep(3)
        finally:
            postgres.process.thaw()
        bench.send(*names[5:])
        until(lambda: bench.effects() == names, "it goes on")
        assert worker.poll() is None
