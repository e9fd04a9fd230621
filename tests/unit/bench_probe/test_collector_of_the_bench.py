import asyncio
import gzip
import random

import pytest

from bench import otlp
from bench.probe.harm.outage import counted
from bench.probe.sink import Received, Request, read_request


async def read(told: bytes) -> Request:
    reader = asyncio.StreamReader()
    reader.feed_data(told)
    reader.feed_eof()
    return await read_request(reader)


async def test_a_body_is_read_as_long_as_it_is_said_to_be():
    request = await read(b"POST /ours/v1/traces HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET")
    assert (request.method, request.path, request.body) == ("POST", "/ours/v1/traces", b"abc")


async def test_a_body_may_come_in_chunks():
    told = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert (await read(told)).body == b"abcde"


async def test_a_connection_that_ends_says_so():
    with pytest.raises(asyncio.IncompleteReadError):
        await read(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")


def test_spans_and_bytes_are_counted_by_sender():
    body = otlp.request(random.Random(504), 0)
    received = Received()
    received.note(Request("POST", "/ours/v1/traces", {}, body))
    received.note(Request("POST", "/ours/v1/traces", {}, body))
    received.note(Request("POST", "/theirs/v1/traces", {}, body))
    assert received.by_sender["ours"] == {
        "requests": 2,
        "bytes": 2 * len(body),
        "spans": 2 * otlp.SPANS,
    }
    assert received.by_sender["theirs"]["spans"] == otlp.SPANS


def test_bytes_count_as_they_were_sent_and_spans_as_they_were_meant():
    body = gzip.compress(otlp.request(random.Random(504), 0))
    received = Received()
    received.note(Request("POST", "/ours/v1/traces", {"content-encoding": "gzip"}, body))
    assert received.by_sender["ours"]["bytes"] == len(body)
    assert received.by_sender["ours"]["spans"] == otlp.SPANS


def test_what_is_no_otlp_has_no_spans():
    received = Received()
    received.note(Request("POST", "/theirs/v1/traces", {"content-encoding": "gzip"}, b"not at all"))
    assert received.by_sender["theirs"] == {"requests": 1, "bytes": 10, "spans": 0}


def test_what_the_probe_lost_is_counted_and_what_it_did_not_keep_is_something_else():
    metrics = """
# HELP why504_probe_errors_total Errors inside the probe, swallowed.
why504_probe_errors_total{site="export"} 3.0
why504_probe_errors_total{site="span start"} 0.0
why504_export_dropped_spans_total 40.0
why504_inflight_dropped_total 500.0
http_server_errors_total 7.0
"""
    assert counted(metrics) == 43
