"""RabbitMQWatch against a real broker: an alarm, a frozen broker, a refused login, nobody there."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pika
import pytest

from lab.stack.ports import free_port
from lab.stack.rabbitmq import RabbitMQ
from why504 import names
from why504.probe.telling.records import RecordSpan
from why504.testing import CollectedRecords
from why504.watch.rabbitmq import ANSWER_TIMEOUT_S, RabbitMQWatch, place_of

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]

INTERVAL_S = 0.2


def eventually(fact: Callable[[], object], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


@contextmanager
def watching(url: str) -> Iterator[tuple[RabbitMQWatch, CollectedRecords]]:
    collected, stop = CollectedRecords(), threading.Event()
    watch = RabbitMQWatch(place_of(url), collected, interval_s=INTERVAL_S)
    thread = threading.Thread(target=watch.run, args=[stop], name="watch")
    thread.start()
    try:
        yield watch, collected
    finally:
        stop.set()
        thread.join(3 * ANSWER_TIMEOUT_S)
        assert not thread.is_alive()


def address(broker: RabbitMQ) -> str:
    return f"http://guest:guest@127.0.0.1:{broker.management_port}"


def signs_of_life(collected: CollectedRecords) -> list[RecordSpan]:
    return [record for record in collected.sent if record.name == names.BROKER_WATCHED]


def holds(collected: CollectedRecords, *, final: bool) -> list[RecordSpan]:
    told = collected.of_kind(names.HOLD)
    return [record for record in told if (names.SNAPSHOT_OF not in record.attributes) is final]


def test_a_memory_alarm_becomes_a_hold_that_ends_with_it(managed_rabbitmq):
    with watching(address(managed_rabbitmq)) as (_, collected):
        eventually(lambda: signs_of_life(collected))
        assert collected.of_kind(names.HOLD) == []
        raised_ns = time.time_ns()
        managed_rabbitmq.alarm(True)
        try:
            eventually(lambda: holds(collected, final=False))
        finally:
            lifted_ns = time.time_ns()
            managed_rabbitmq.alarm(False)
        eventually(lambda: holds(collected, final=True))

    [final] = holds(collected, final=True)
    assert final.attributes[names.BROKER_TROUBLE] == "memory"
    assert final.attributes[names.RESOURCE] == f"broker:lab{managed_rabbitmq.port}@localhost"
    assert raised_ns <= final.start_ns <= lifted_ns <= final.end_ns
    assert collected.tellings_of(final)


def test_publishers_that_an_alarm_blocks_are_counted_and_the_deepest_queue_is_named(
    managed_rabbitmq,
):
    with pika.BlockingConnection(pika.URLParameters(managed_rabbitmq.url)) as connection:
        channel = connection.channel()
        channel.queue_declare("deep")
        channel.confirm_delivery()
        for _ in range(3):
            channel.basic_publish("", "deep", b"x")
    with blocked_publisher(managed_rabbitmq), watching(address(managed_rabbitmq)) as (_, collected):
        eventually(lambda: any(blocked_in(row) for row in collected.of_kind(names.HOLD)))
        eventually(lambda: any(queues_in(row) for row in signs_of_life(collected)))

    [queue] = next(queues_in(row) for row in signs_of_life(collected) if queues_in(row))
    # What was on its way as the alarm came is still taken.
    assert re.fullmatch(r"deep of /: [3-6] ready, 0 unacknowledged, 0 consumers", queue)


@contextmanager
def blocked_publisher(broker: RabbitMQ) -> Iterator[None]:
    """A connection that tried to publish during an alarm, long enough for the statistics."""
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    channel = connection.channel()
    broker.alarm(True)
    try:
        for _ in range(3):
            channel.basic_publish("", "deep", b"late")
        time.sleep(6)  # RabbitMQ's own statistics are that old
        yield
    finally:
        broker.alarm(False)
        connection.close()


def blocked_in(record: RecordSpan) -> object:
    return record.attributes.get(names.BROKER_BLOCKED)


def queues_in(record: RecordSpan) -> list[str]:
    return list(record.attributes.get(names.BROKER_QUEUES, ()))


def test_a_frozen_broker_is_told_as_silence_and_the_watch_stays_bounded(managed_rabbitmq):
    with watching(address(managed_rabbitmq)) as (watch, collected):
        eventually(lambda: signs_of_life(collected))
        managed_rabbitmq.freeze()
        try:
            eventually(lambda: watch.counts.unanswered >= 2)
            [silence, *_] = holds(collected, final=False)
            asked_s = time.monotonic()
            before = watch.counts.unanswered
            eventually(lambda: watch.counts.unanswered > before)
            assert time.monotonic() - asked_s < 2 * ANSWER_TIMEOUT_S
        finally:
            managed_rabbitmq.thaw()
        eventually(lambda: holds(collected, final=True))

    [final] = holds(collected, final=True)
    assert silence.attributes[names.BROKER_TROUBLE] == "silence"
    assert (
        final.attributes[names.RESOURCE] == f"broker:127.0.0.1:{managed_rabbitmq.management_port}"
    )
    assert final.end_ns - final.start_ns >= 2 * ANSWER_TIMEOUT_S * 1e9


def test_stopping_while_the_broker_is_frozen_takes_no_longer_than_one_answer(managed_rabbitmq):
    managed_rabbitmq.freeze()
    try:
        with watching(address(managed_rabbitmq)):
            time.sleep(0.3)
            stopped_s = time.monotonic()
        assert time.monotonic() - stopped_s < ANSWER_TIMEOUT_S + 1
    finally:
        managed_rabbitmq.thaw()


def test_a_refused_login_is_counted_logged_once_and_tried_ever_more_seldom(
    managed_rabbitmq, caplog
):
    url = f"http://ops:secret@127.0.0.1:{managed_rabbitmq.management_port}"
    with caplog.at_level(logging.DEBUG), watching(url) as (watch, collected):
        eventually(lambda: watch.counts.not_understood >= 3)

    complaints = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.message for record in complaints] == [
        f"RabbitMQ at http://127.0.0.1:{managed_rabbitmq.management_port} is not watched: "
        "it answered with status 401"
    ]
    assert "secret" not in caplog.text
    assert collected.sent == []


def test_where_nobody_ever_answered_nothing_is_told(caplog):
    with watching(f"http://ops:secret@127.0.0.1:{free_port()}") as (watch, collected):
        eventually(lambda: watch.counts.unanswered >= 3)

    assert collected.sent == []
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    assert "secret" not in caplog.text
