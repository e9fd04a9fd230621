from __future__ import annotations

import json
from pathlib import Path

import pytest
from gateway_lines import line
from hypothesis import given
from hypothesis import strategies as st

from why504.watch.accesslog import GatewayLine, parse_line, span_name

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "recorded" / "nginx"


@pytest.fixture(scope="module")
def recorded() -> dict[str, GatewayLine]:
    """Lines of a real nginx by the case that made them."""
    if not RECORDED.is_dir():
        pytest.skip("needs the recorded access log beside the checkout")
    lines = (RECORDED / "access.jsonl").read_bytes().splitlines()
    cases = map(json.loads, (RECORDED / "cases.jsonl").read_text().splitlines())
    parsed = {case["case"]: (case, parse_line(lines[case["line"] - 1])) for case in cases}
    assert all(of_case is not None for _, of_case in parsed.values())
    for case, of_case in parsed.values():
        assert of_case is not None
        if case.get("client_x_trace_id"):
            assert of_case.trace_id == case["client_x_trace_id"], case["what"]
        if "client_took_s" in case:
            took_s = (of_case.end_ns - of_case.start_ns) / 1e9
            assert abs(took_s - case["client_took_s"]) < 0.01, case["what"]
            assert abs(of_case.start_ns / 1e9 - case["client_started"]) < 0.01, case["what"]
        if case.get("client_saw"):
            assert of_case.status == int(case["client_saw"].split()[1]), case["what"]
    return {name: of_case for name, (_, of_case) in parsed.items() if of_case}


def told(of: GatewayLine) -> tuple[object, ...]:
    return (
        of.status,
        of.attempts,
        of.upstream_address,
        of.upstream_status,
        of.upstream_connect_s,
        of.upstream_header_s,
    )


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("07", (504, 1, "127.0.0.1:18080", 504, 0.0, None)),
        ("10", (499, 1, "127.0.0.1:18080", None, 0.001, None)),
        ("11", (502, 1, "127.0.0.1:18080", 502, 0.0, None)),
        ("12", (502, 1, "127.0.0.1:18084", 502, None, None)),
        ("13", (200, 2, "127.0.0.1:18082", 200, 0.0, 0.002)),
        ("16", (504, 2, "127.0.0.1:18080", 504, 0.001, None)),
        ("18", (502, 0, "", 502, None, None)),
        ("20", (504, 1, "127.0.0.1:18080", 504, 0.0, 0.001)),
        ("21", (200, 2, "127.0.0.1:18082", 200, 0.0, 0.001)),
        ("26", (400, 0, "", None, None, None)),
        ("27", (408, 0, "", None, None, None)),
    ],
)
def test_each_ending_that_a_real_nginx_logged_is_told_apart(recorded, case, expected):
    assert told(recorded[case]) == expected


def test_a_clients_trace_is_kept_and_each_of_its_requests_has_a_span_of_its_own(recorded):
    one, other = recorded["02"], recorded["09"]

    assert one.trace_id == other.trace_id
    assert one.parent_id == other.parent_id == "00f067aa0ba902b7"
    assert one.span_id != other.span_id
    assert recorded["03"].parent_id is None


def test_hostile_paths_are_kept_as_text_and_decide_nothing(recorded):
    assert recorded["22"].path == '/v1/"},"status":200/\\\n\x1b[31m/tiếng Việt🧵\u202e'
    assert recorded["23"].path == "/v1/\ufffd\ufffd\ufffd("
    assert recorded["24b"].path == "/v1/ok"
    for of_case in recorded.values():
        of_case.path.encode("utf-8")


def test_times_are_exact_to_the_millisecond():
    parsed = parse_line(line(ts="1795449354.101", request_time=2.003))

    assert parsed is not None
    assert (parsed.start_ns, parsed.end_ns) == (1795449352098000000, 1795449354101000000)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"null",
        b"504",
        b'"text"',
        b"[]",
        b"{}",
        b"\x00\x00\x00",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b'127.0.0.1 - - [23/Nov/2026:15:55:54 +0000] "GET / HTTP/1.1" 504 375 "-" "-"',
        line()[:-20],
        line()[20:],
        line() + line(),
        line(ts="-"),
        line(ts=""),
        line(ts="nan"),
        line(ts="1e999"),
        line(ts=-5),
        line(ts=0),
        line(ts=10**400),
        line(ts=10**12),
        line(ts=None),
        line(ts=[1]),
        line(request_time="inf"),
        line(request_time=-0.001),
        line(request_time=1e10),
        line(status="abc"),
        line(status=-1),
        line(status=10**9),
        line(trace_id="0" * 32),
        line(trace_id="A" * 32),
        line(trace_id="1" * 31),
        line(trace_id=12),
        line(span_id="0" * 16),
        line(span_id=""),
        line(parent_span_id="x"),
    ],
)
def test_what_is_not_a_line_of_ours_is_none(garbage):
    assert parse_line(garbage) is None


def test_text_that_can_not_be_sent_is_replaced_and_long_text_is_cut():
    parsed = parse_line(line(uri="/\ud800" + "é" * 5000))

    assert parsed is not None
    assert parsed.path == "/\ufffd\ufffd\ufffd" + "é" * 1020


def test_a_query_string_never_leaves_the_log():
    parsed = parse_line(line(uri="/login?token=secret"))

    assert parsed is not None
    assert parsed.path == "/login"


@pytest.mark.parametrize("value", ["-", "", "x", "nan", "1, x", None, 7, [], "-, -"])
def test_upstream_values_that_make_no_sense_are_none_and_the_504_is_kept(value):
    given_ = dict.fromkeys(
        ("upstream_status", "upstream_connect_time", "upstream_header_time", "server_port"), value
    )

    parsed = parse_line(line(**given_))

    assert parsed is not None
    assert told(parsed) == (504, 1, "127.0.0.1:8000", None, None, None)


def test_addresses_of_every_family_are_told_whole():
    addresses = "[2001:db8::1]:80, unix:/run/app.sock : 10.0.0.1:80"

    parsed = parse_line(line(upstream_addr=addresses))

    assert parsed is not None
    assert (parsed.attempts, parsed.upstream_address) == (3, "10.0.0.1:80")


@given(st.binary(max_size=300))
def test_no_bytes_are_fatal(raw):
    parse_line(raw)


@given(st.dictionaries(st.sampled_from(list(json.loads(line()))), st.text() | st.integers()))
def test_no_values_are_fatal_and_what_is_told_can_be_sent(changed):
    parsed = parse_line(line(**changed))

    if parsed is not None:
        assert 0 <= parsed.start_ns <= parsed.end_ns < 2**63
        span_name(parsed.method, parsed.path).encode("utf-8")
        parsed.upstream_address.encode("utf-8")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "GET /"),
        ("", "GET "),
        ("/v1/conversations/end", "GET /v1/conversations/end"),
        ("/v1/friendship_status/u-12", "GET /v1/friendship_status/{id}"),
        ("/v1/users/42/orders/7", "GET /v1/users/{id}/orders/{id}"),
        ("/a/3f2504e0-4f89-11d3-9a0c-0305e82c3301/b", "GET /a/{id}/b"),
        ("/a/5f3a9c01", "GET /a/{id}"),
        ("/a/d0336fe0a74f5c7ef63738c9cd5dd256", "GET /a/{id}"),
        ("/a/deadbeef", "GET /a/deadbeef"),
        ("/oauth2/calculate-score-and-update", "GET /oauth2/calculate-score-and-update"),
        ("/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "GET /t/{id}"),
        ("/x" * 50, "GET " + "/x" * 11),
    ],
)
def test_requests_of_one_route_have_one_name(path, name):
    assert span_name("GET", path) == name


def test_a_made_up_method_makes_no_name_of_its_own():
    assert {span_name(method, "/a") for method in ("", "EVIL", "get")} == {"HTTP"}
