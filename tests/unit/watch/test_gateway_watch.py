from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivered import delivery_to
from gateway_lines import line
from opentelemetry.trace import SpanKind, StatusCode
from otlp_receiver import Receiver

from why504.watch import delivery, gateway
from why504.watch.accesslog import parse_line
from why504.watch.gateway import GatewayWatch, gateway_resource, load_position, to_span


@pytest.fixture
def receiver(free_port) -> Iterator[Receiver]:
    running = Receiver(free_port)
    yield running
    running.stop()


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "access.jsonl"


def numbers(receiver: Receiver) -> list[int]:
    return [int.from_bytes(span.trace_id) for span in receiver.spans]


def watch(log: Path, port: int) -> GatewayWatch:
    return GatewayWatch(log, delivery_to(port).deliver, log.with_name("state"), timeout_s=2.0)


def run_once(log: Path, port: int) -> GatewayWatch:
    """Send all there is and return."""
    stop = threading.Event()
    stop.set()
    once = watch(log, port)
    once.run(stop)
    return once


def write(log: Path, *numbers: int) -> None:
    with log.open("ab") as file:
        file.writelines(line(number) + b"\n" for number in numbers)


def test_each_line_is_sent_once_over_several_runs(log, receiver):
    port = receiver.port
    write(log, 1, 2)
    run_once(log, port)
    write(log, 3)
    run_once(log, port)
    run_once(log, port)

    assert numbers(receiver) == [1, 2, 3]


def test_garbage_is_counted_and_passed(log, receiver):
    log.write_bytes(b"garbage\n" + line(1) + b"\n{}\n")

    counts = run_once(log, receiver.port).counts

    assert (counts.sent, counts.not_understood) == (1, 2)
    assert numbers(receiver) == [1]


def test_a_log_of_nothing_but_garbage_is_read_once(log, receiver):
    log.write_bytes(b"garbage\n" * 1000)
    run_once(log, receiver.port)

    assert run_once(log, receiver.port).counts.not_understood == 0


def test_a_receiver_that_is_down_for_a_while_gets_everything_afterwards(
    log, free_port, monkeypatch
):
    monkeypatch.setattr(delivery, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(delivery, "SLOWEST_RETRY_S", 0.05)
    monkeypatch.setattr(gateway, "POLL_S", 0.02)
    stop = threading.Event()
    watching = watch(log, free_port)
    thread = threading.Thread(target=watching.run, args=(stop,))
    thread.start()
    write(log, 1, 2)
    time.sleep(0.3)
    write(log, 3)
    receiver = Receiver(free_port)
    receiver.answers = [503, 429, 504]
    try:
        wait_for(lambda: len(receiver.spans) >= 3)
        wait_for(lambda: watching.counts.sent == 3)
    finally:
        stop.set()
        thread.join()
        receiver.stop()

    assert numbers(receiver) == [1, 2, 3]


def test_a_batch_that_is_refused_for_good_is_not_sent_again_and_the_next_goes_on(log, receiver):
    receiver.answers = [400]
    write(log, 1)
    run_once(log, receiver.port)
    write(log, 2)
    run_once(log, receiver.port)

    assert numbers(receiver) == [2]
    assert receiver.begun == 2


def test_what_a_receiver_did_not_take_is_sent_by_the_next_run(log, free_port):
    write(log, 1, 2)
    assert run_once(log, free_port).counts.sent == 0
    assert not log.with_name("state").exists()

    receiver = Receiver(free_port)
    run_once(log, free_port)
    receiver.stop()

    assert numbers(receiver) == [1, 2]


def test_a_long_log_is_left_for_the_next_run_when_it_is_time_to_stop(log, receiver, monkeypatch):
    monkeypatch.setattr(gateway, "FLUSH_S", 0.0)
    write(log, *range(1, 2001))
    run_once(log, receiver.port)
    first = len(receiver.spans)
    run_once(log, receiver.port)
    run_once(log, receiver.port)

    assert 0 < first < 2000
    assert numbers(receiver) == list(range(1, 2001))


def test_a_watch_that_died_before_it_kept_its_place_repeats_under_the_same_ids(
    log, receiver, monkeypatch
):
    write(log, 1, 2)
    with monkeypatch.context() as broken:
        broken.setattr(gateway, "save_position", die)
        with pytest.raises(SystemExit):
            run_once(log, receiver.port)

    run_once(log, receiver.port)

    assert numbers(receiver) == [1, 2, 1, 2]


def test_a_place_that_can_not_be_kept_stops_nothing(log, receiver):
    log.with_name("state.new").mkdir()
    write(log, 1, 2)

    counts = run_once(log, receiver.port).counts

    assert (counts.sent, counts.unsaved_positions) == (2, 1)
    assert numbers(receiver) == [1, 2]


def die(*_: object) -> None:
    raise SystemExit


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", "{}", '{"head": 1}', '{"head":"x","began_s":null,"offset":1}']
)
def test_a_broken_state_file_begins_the_log_anew(log, receiver, kept):
    log.with_name("state").write_text(kept)
    write(log, 1)

    run_once(log, receiver.port)

    assert numbers(receiver) == [1]
    assert load_position(log.with_name("state")).offset == log.stat().st_size


def test_a_504_becomes_the_span_that_the_application_was_told_of():
    parsed = parse_line(line(7, parent_span_id="00f067aa0ba902b7"))
    assert parsed is not None

    span = to_span(parsed, gateway_resource(Path("/var/log/access.jsonl")), 2.0)

    assert span.context is not None
    assert span.parent is not None
    assert (span.name, span.kind) == ("GET /v1/friendship_status/{id}", SpanKind.SERVER)
    assert (span.context.trace_id, span.context.span_id) == (7, 7)
    assert span.context.trace_flags.sampled
    assert span.parent.span_id == 0x00F067AA0BA902B7
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(2.001)
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "url.path": "/v1/friendship_status/u-12",
        "http.response.status_code": 504,
        "error.type": "504",
        "server.address": "127.0.0.1",
        "server.port": 8080,
        "why504.gateway.attempts": 1,
        "why504.gateway.upstream_address": "127.0.0.1:8000",
        "why504.gateway.upstream_status": 504,
        "why504.gateway.upstream_connect_seconds": 0.001,
        "why504.gateway.timeout_seconds": 2.0,
    }
    assert span.resource.attributes["service.name"] == "gateway"
    assert span.resource.attributes["service.instance.id"].endswith(":/var/log/access.jsonl")


@pytest.mark.parametrize(
    ("status", "error_type", "code"),
    [
        (200, None, StatusCode.UNSET),
        (404, None, StatusCode.UNSET),
        (499, "499", StatusCode.UNSET),
        (502, "502", StatusCode.ERROR),
    ],
)
def test_only_failures_of_the_service_are_errors(status, error_type, code):
    parsed = parse_line(line(status=str(status)))
    assert parsed is not None

    span = to_span(parsed, gateway_resource(Path("log")), None)

    assert (span.attributes.get("error.type"), span.status.status_code) == (error_type, code)
    assert "why504.gateway.timeout_seconds" not in span.attributes


def wait_for(true, timeout_s: float = 20) -> None:
    done = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        if true():
            return
        done.wait(0.02)
    raise AssertionError("it did not happen in time")
