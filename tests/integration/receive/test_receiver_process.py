import gzip
import http.client
import itertools
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.receive.receiver_process import Receivers, receivers
from tests.unit.receive.otlp_bodies import protobuf, span
from why504.errors import ConfigError
from why504.receive.server import serve
from why504.stores.parquet import ParquetStore

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def started() -> Iterator[Receivers]:
    with receivers() as made:
        yield made


def post(port: int, body: bytes, headers: dict[str, str] = PROTOBUF) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/v1/traces", body=body, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def stored(folder: Path) -> list[str]:
    store = ParquetStore(folder)
    extent = store.extent()
    return [one.span_id for one in store.evidence(extent).spans] if extent else []


def replayed(started: Receivers, folder: Path) -> list[str]:
    """What is readable once a receiver has started and stopped again."""
    started.start(folder).stop(signal.SIGTERM)
    return stored(folder)


class Client(threading.Thread):
    """Sends small requests until its receiver is gone; knows what was acknowledged."""

    def __init__(self, port: int, ids: Iterator[int]) -> None:
        super().__init__()
        self.port = port
        self.ids = ids
        self.sent: list[bytes] = []
        self.acknowledged: list[bytes] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            while True:
                spans = [span(span_id=next(self.ids).to_bytes(8, "big")) for _ in range(3)]
                told = [one["span_id"] for one in spans]
                self.sent += told
                connection.request("POST", "/v1/traces", body=protobuf(*spans), headers=PROTOBUF)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200
                self.acknowledged += told
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_acknowledged_span_is_lost_by_killing_the_receiver_25_times(started, tmp_path):
    chance = random.Random(504)
    ids = itertools.count(1)
    sent: set[bytes] = set()
    acknowledged: set[bytes] = set()
    for _ in range(25):
        receiver = started.start(tmp_path)
        clients = [Client(receiver.port, ids) for _ in range(3)]
        for client in clients:
            client.start()
        # The flusher turns once a second: every third run lives long enough to be killed in it.
        time.sleep(chance.choice([chance.uniform(0, 0.1), chance.uniform(0, 0.4), 1.0]))
        time.sleep(chance.uniform(0, 0.05))
        receiver.stop(signal.SIGKILL)
        for client in clients:
            client.join()
            sent.update(client.sent)
            acknowledged.update(client.acknowledged)

    told = replayed(started, tmp_path)

    assert len(acknowledged) > 25
    assert acknowledged - {bytes.fromhex(one) for one in told} == set()
    assert {bytes.fromhex(one) for one in told} <= sent
    assert len(told) == len(set(told))
    assert list((tmp_path / "wal").iterdir()) == []


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_receiver_that_is_told_to_stop_leaves_everything_readable(started, tmp_path, sign):
    receiver = started.start(tmp_path)
    told = [span() for _ in range(20)]
    for one in told:
        assert post(receiver.port, protobuf(one)) == 200

    receiver.stop(sign)

    assert sorted(stored(tmp_path)) == sorted(one["span_id"].hex() for one in told)


def test_evidence_is_readable_within_seconds_while_the_receiver_runs(started, tmp_path):
    receiver = started.start(tmp_path)
    one = span()
    packed = gzip.compress(protobuf(one))

    assert post(receiver.port, packed, PROTOBUF | {"content-encoding": "gzip"}) == 200
    deadline = time.monotonic() + 10
    while not stored(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert stored(tmp_path) == [one["span_id"].hex()]
    receiver.stop(signal.SIGTERM)


def test_a_second_receiver_on_the_folder_is_refused(started, tmp_path):
    first = started.start(tmp_path)

    with receivers() as others:
        second = others.start(tmp_path)
        second.wait()

    assert f"in use by another receiver (process {first.pid})" in second.error
    assert post(first.port, protobuf(span())) == 200
    first.stop(signal.SIGTERM)


def test_the_lock_of_a_killed_receiver_holds_nobody_up(started, tmp_path):
    started.start(tmp_path).stop(signal.SIGKILL)

    assert replayed(started, tmp_path) == []


def test_a_full_disk_is_told_as_503_and_loses_nothing_acknowledged(started, tmp_path):
    receiver = started.start(tmp_path, file_limit=200_000)
    acknowledged, refused = [], 0
    for _ in range(60):
        one = span(attributes={"noise": os.urandom(6000).hex()})
        status = post(receiver.port, protobuf(one))
        assert status in (200, 503)
        if status == 200:
            acknowledged.append(one["span_id"].hex())
        else:
            refused += 1
    receiver.stop(signal.SIGKILL)

    assert refused
    assert acknowledged
    assert set(acknowledged) - set(replayed(started, tmp_path)) == set()


def test_garbage_on_the_socket_stops_nothing(started, tmp_path):
    receiver = started.start(tmp_path)
    for garbage in (
        b"\x16\x03\x01\x02\0" * 50,
        b"POST /v1/traces HTTP/1.1\r\n" * 3,
        b"\0" * 10_000,
    ):
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as connection:
            connection.sendall(garbage)
    cut = b"POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-length: 99999\r\n"
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as connection:
        connection.sendall(cut + b"content-type: application/x-protobuf\r\n\r\nhalf")

    assert post(receiver.port, os.urandom(5000)) == 400
    assert post(receiver.port, protobuf(span())) == 200
    receiver.stop(signal.SIGTERM)


def test_a_busy_port_is_said_so(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError, match=f"can't listen on 127.0.0.1:{port}"):
            serve(tmp_path, port=port)
