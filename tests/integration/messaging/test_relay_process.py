"""The relay as it is deployed, and everything that may happen to it and to what it talks to."""

from __future__ import annotations

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from messaging_rig import program, until

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq, pytest.mark.slow]

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def started(metric):
    until(lambda: metric("messaging_publisher_connected") == 1, "the relay is connected")


def test_what_a_request_stored_is_in_the_queue_half_a_second_later(outbox, queue, relay, metric):
    started(metric)
    stored_s = time.monotonic()
    outbox.add(payload={"hello": "world"}, traceparent=TRACEPARENT)
    until(lambda: outbox.unsent() == 0, "the message is sent")
    took_s = time.monotonic() - stored_s

    [(properties, body)] = queue.take_all()
    assert took_s < 0.5 + 0.5  # of these 0.5 s are for a busy machine
    assert json.loads(body) == {"hello": "world"}
    assert {properties.message_id} == outbox.ids()
    assert properties.headers["traceparent"] == TRACEPARENT
    assert (properties.delivery_mode, properties.content_type) == (2, "application/json")
    assert abs(properties.timestamp - time.time()) < 10


def test_messages_arrive_in_the_order_in_which_they_were_stored(outbox, queue, relay):
    outbox.add(500)
    until(lambda: outbox.unsent() == 0, "all are sent")

    assert [json.loads(body)["n"] for _, body in queue.take_all()] == list(range(1, 501))


def test_two_relays_send_each_message_once(outbox, queue, relay, settings):
    with program("service.relay", settings):
        for _ in range(10):
            outbox.add(50)
        until(lambda: outbox.unsent() == 0, "all are sent")

    ids = [properties.message_id for properties, _ in queue.take_all()]
    assert len(ids) == 500
    assert set(ids) == outbox.ids()


def test_a_relay_that_is_killed_at_any_moment_loses_nothing(outbox, queue, settings):
    for after_s in (0.9, 1.1, 1.3):
        outbox.add(300)
        with program("service.relay", settings, SERVICE_RELAY_BATCH="7"):
            time.sleep(after_s)
    with program("service.relay", settings):
        until(lambda: outbox.unsent() == 0, "all are sent")

    assert {properties.message_id for properties, _ in queue.take_all()} == outbox.ids()


def test_a_frozen_broker_costs_a_deadline_and_nothing_is_lost(
    outbox, queue, relay, rabbitmq, metric
):
    started(metric)
    rabbitmq.freeze()
    try:
        outbox.add(300)
        until(lambda: metric("messaging_publisher_connected") == 0, "the deadline is met", 5)
        pending = lambda: metric("service_outbox_pending_messages")  # noqa: E731
        until(lambda: pending() == 300, "the backlog is told all the while", 5)
        assert outbox.unsent() == 300
    finally:
        rabbitmq.thaw()
    until(lambda: outbox.unsent() == 0, "all are sent after the thaw")

    assert {properties.message_id for properties, _ in queue.take_all()} == outbox.ids()
    unconfirmed = metric("messaging_client_sent_messages_total", outcome="unconfirmed")
    assert unconfirmed >= 1


def test_a_memory_alarm_blocks_the_relay_and_nothing_is_lost(
    outbox, queue, relay, rabbitmq, metric
):
    started(metric)
    rabbitmq.alarm(True)
    try:
        for _ in range(10):
            outbox.add(30)
            time.sleep(0.2)
        until(lambda: metric("messaging_publisher_blocked") == 1, "the metric tells", 5)
    finally:
        rabbitmq.alarm(False)
    until(lambda: outbox.unsent() == 0, "all are sent after the alarm")

    assert {properties.message_id for properties, _ in queue.take_all()} == outbox.ids()
    assert metric("messaging_publisher_blocked") == 0


def test_a_broker_that_crashes_has_every_message_that_was_confirmed(
    outbox, queue, relay, rabbitmq, metric
):
    started(metric)
    stop = threading.Event()

    def store() -> None:
        while not stop.wait(0.05):
            outbox.add(10)

    with ThreadPoolExecutor(1) as pool:
        storing = pool.submit(store)
        # A queue younger than about a second does not survive: RabbitMQ 3.10 has not flushed it.
        time.sleep(2)
        rabbitmq.kill()
        time.sleep(0.5)
        stop.set()
        storing.result()
    assert outbox.unsent() > 0
    rabbitmq.restart()
    until(lambda: outbox.unsent() == 0, "all are sent after the restart")

    assert {properties.message_id for properties, _ in queue.take_all()} == outbox.ids()


def test_a_frozen_database_is_told_by_the_age_of_the_figures_and_survived(
    outbox, relay, metric, postgres
):
    started(metric)
    age = lambda: metric("service_backlog_sample_age_seconds", source="outbox")  # noqa: E731
    postgres.process.freeze()
    try:
        until(lambda: age() > 3, "the age of the figures is told", 6)
    finally:
        postgres.process.thaw()
    outbox.add(10)

    until(lambda: outbox.unsent() == 0, "all are sent after the thaw", 5)
    until(lambda: age() < 3, "the figures are fresh again", 5)


@pytest.mark.parametrize("frozen", ["nothing", "broker", "database"])
def test_a_relay_that_is_told_to_end_does_so_within_two_seconds(
    outbox, relay, rabbitmq, postgres, metric, frozen
):
    started(metric)
    server = {"broker": rabbitmq.process, "database": postgres.process}.get(frozen)
    if server:
        server.freeze()
        time.sleep(0.3)
    try:
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(2.5) == 0
    finally:
        if server:
            server.thaw()


def test_a_queue_that_somebody_deletes_is_made_again_and_nothing_is_marked_as_sent_before(
    outbox, queue, relay, metric
):
    import pika

    started(metric)
    with pika.BlockingConnection(pika.URLParameters(queue.url)) as connection:
        connection.channel().queue_delete(queue.name)
    outbox.add(5)
    until(lambda: outbox.unsent() == 0, "all are sent to the new queue")

    assert {properties.message_id for properties, _ in queue.take_all()} == outbox.ids()
    assert metric("messaging_client_sent_messages_total", outcome="returned") >= 1


def test_a_day_after_it_was_sent_a_message_is_forgotten_and_an_unsent_one_never(
    outbox, settings, rabbitmq
):
    outbox.add(3)
    outbox.run("UPDATE outbox SET sent_at = now() - interval '25 hours', topic = 'old'")
    outbox.add(2)
    outbox.run("UPDATE outbox SET created_at = now() - interval '9 days' WHERE topic <> 'old'")
    with program("service.relay", settings):
        until(lambda: outbox.unsent() == 0, "all are sent")

    assert outbox.run("SELECT count(*) FROM outbox") == [(2,)]
