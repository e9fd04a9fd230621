"""What a `traceparent` says, read at once where it is plain: the same as W3C's propagator reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from why504.probe.lean.served import _plainly_told

PLAIN = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def told_by_opentelemetry(header: bytes):
    carrier = {"traceparent": header.decode("latin-1")}
    around = TraceContextTextMapPropagator().extract(carrier)
    return trace.get_current_span(around).get_span_context()


@pytest.mark.parametrize("flags", [b"00", b"01", b"02", b"03", b"ff"])
def test_a_plain_one_is_read_as_opentelemetry_reads_it(flags):
    header = PLAIN[:-2] + flags

    assert _plainly_told(header) == told_by_opentelemetry(header)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        PLAIN.upper(),
        b"ff" + PLAIN[2:],
        b"01" + PLAIN[2:],
        PLAIN + b"-more",
        PLAIN.replace(b"4bf9", b"4b_9"),
        PLAIN.replace(b"4bf9", b" bf9"),
        PLAIN.replace(b"-", b"_"),
        b"00-" + b"0" * 32 + PLAIN[35:],
        PLAIN[:36] + b"0" * 16 + PLAIN[52:],
    ],
)
def test_what_is_not_plain_is_left_to_opentelemetry(header):
    assert _plainly_told(header) is None


@given(st.integers(0, 54), st.integers(0, 255))
def test_one_wrong_byte_is_never_read_otherwise_than_by_opentelemetry(place, byte):
    header = PLAIN[:place] + bytes((byte,)) + PLAIN[place + 1 :]

    plain = _plainly_told(header)

    assert plain is None or plain == told_by_opentelemetry(header)
