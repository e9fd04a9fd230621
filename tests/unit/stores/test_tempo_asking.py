"""What the store asks Tempo for, and what it makes of one that is busy, slow, broken or hostile."""

import base64
import json
import re
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.standins.tempoindex import Tempo
from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
from tests.unit.stores.tempo_served import ADDRESS, Clock, served, store_on
from why504.diagnose import explain
from why504.errors import ConfigError, StoreUnavailable
from why504.model import Evidence, Window
from why504.stores.access import TempoSettings
from why504.stores.http import ATTEMPTS
from why504.stores.opening import address_in, open_store
from why504.stores.tempo import decoding, live_queries, search
from why504.stores.tempo.client import Client
from why504.stores.tempo.search import Asking
from why504.stores.tempo.store import TempoStore

NOW_NS = T0_NS + 3600 * SECOND_NS
HOUR = Window(T0_NS, NOW_NS)
GATEWAY = {"service.name": "gateway", "service.instance.id": "nginx"}
SECRET = "s3cret-t0ken"


def timed_out(start_s, end_s=None, **more):
    told = {"http.response.status_code": 504, "http.request.method": "POST"}
    return span(start_s=start_s, end_s=end_s or start_s + 5, attributes=told, **more)


def a_tempo(*spans, **how):
    tempo = Tempo(**how)
    if spans:
        tempo.take(protobuf(*spans, resource=GATEWAY))
    return tempo


def asking(tempo, **given):
    store = served(tempo, now_ns=NOW_NS, **given)
    return Asking(store._client, NOW_NS)


# --- pages ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 40_000)), max_size=60))
@settings(deadline=None, max_examples=60)
def test_pages_lose_no_trace(times_ms):
    spans = [timed_out(start / 1000, (start + length) / 1000) for start, length in times_ms]
    tempo = a_tempo(*spans)
    window = Window(T0_NS + 5 * SECOND_NS, T0_NS + 20 * SECOND_NS)
    asked = asking(tempo)
    search_page, search.PAGE = search.PAGE, 4
    try:
        result = asked.latest(search.TIMED_OUT[0], window, 1_000)
    finally:
        search.PAGE = search_page

    expected = {
        one["trace_id"].hex() for one in spans if one["start_s"] <= 20 and one["end_s"] >= 5
    }
    assert result.complete
    assert set(result.traces) == expected


def test_more_in_one_second_than_fit_on_a_page_are_found(monkeypatch):
    monkeypatch.setattr(search, "PAGE", 4)
    tempo = a_tempo(*(timed_out(7 + n / 100) for n in range(40)))

    result = asking(tempo).latest(search.TIMED_OUT[0], HOUR, 1_000)

    assert result.complete
    assert len(result.traces) == 40
    assert len(tempo.asked) < 8


def test_as_many_as_asked_for_is_said_to_be_not_all():
    tempo = a_tempo(*(timed_out(n) for n in range(30)))

    result = asking(tempo).latest(search.TIMED_OUT[0], HOUR, 10)

    assert not result.complete
    starts = sorted((one.start_ns for one in result.traces.values()), reverse=True)
    assert starts == [T0_NS + n * SECOND_NS for n in range(29, 19, -1)]


def test_a_server_that_allows_smaller_pages_gets_them(monkeypatch):
    monkeypatch.setattr("lab.standins.tempoindex.MOST_TRACES", 7)
    tempo = a_tempo(*(timed_out(n) for n in range(30)))

    result = asking(tempo).latest(search.TIMED_OUT[0], HOUR, 1_000)

    assert result.complete
    assert len(result.traces) == 30


def test_every_query_has_its_conditions_on_one_span():
    queries = [
        search.EVERYTHING, search.REQUESTS, search.OPEN, search.VITALS, search.WAITS, search.STALLS,
        search.SHARED, search.GATEWAY_REQUESTS, search.holds(0), search.holds(200),
        *search.TIMED_OUT, *search.WATCHED, *search.slow(1.5), search.brief_holds(1_000),
        live_queries.OPEN.query, *(one.query for one in live_queries.ONCE),
    ]  # fmt: skip
    for query in queries:
        assert query.count("{") == query.count("}") == 1
        assert query.startswith("{ ")
        assert "nil" not in query
        assert "link" not in query, "select returns one link of several"
        assert not re.search(r"}\s*(>>|<<|&&|\|\||>|<|~)", query)


# --- a million spans -----------------------------------------------------------------------------


KINDS = ("504", "hold", "wait", "vitals", "everything")


class Million:
    """125,000 traces of eight spans, 20,000 of them timed out; made up as they are asked for."""

    def __init__(self):
        numbers = np.random.default_rng(504)
        self.asked = []
        self.begin_s = T0_NS // SECOND_NS
        self.kinds = {
            "504": self._some(numbers, 20_000, 60, 60),
            "hold": self._some(numbers, 60_000, 0.1, 45),
            "wait": self._some(numbers, 40_000, 0.2, 60),
            "vitals": self._some(numbers, 4_000, 2, 2),
            "everything": self._some(numbers, 125_000, 0.01, 60),
            "none": self._some(numbers, 0, 0, 0),
        }

    def _some(self, numbers, count, shortest_s, longest_s):
        starts = np.sort(numbers.uniform(600, 2_400, count))
        return starts, starts + numbers.uniform(shortest_s, longest_s, count)

    def __call__(self, request):
        self.asked.append(str(request.url))
        if "/api/v2/traces/" in request.url.path:
            return httpx.Response(200, json=self._trace(request.url.path.rpartition("/")[2]))
        told = {key: value[0] for key, value in parse_qs(urlsplit(str(request.url)).query).items()}
        kind = self._kind(told["q"])
        starts, ends = self.kinds[kind]
        start, end = (int(told[name]) - self.begin_s for name in ("start", "end"))
        least = re.search(r"duration >= (\d+)ms", told["q"])
        mine = (starts <= end) & (ends >= start)
        if least:
            mine &= ends - starts >= int(least[1]) / 1000
        places = np.flatnonzero(mine)[::-1][: int(told["limit"])]
        return httpx.Response(200, json={"traces": [self._found(kind, int(n)) for n in places]})

    @staticmethod
    def _kind(query):
        known = {
            "=504": "504", 'kind="hold"': "hold", 'kind="wait"': "wait", 'kind="vitals"': "vitals",
            "{ }": "everything", "{ kind=server }": "everything",
        }  # fmt: skip
        return next((kind for sign, kind in known.items() if sign in query), "none")

    def _found(self, kind, number):
        start_s, end_s = (column[number] for column in self.kinds[kind])
        start_ns = T0_NS + int(start_s * 1e9)
        told = {"kind": "server", "service.name": "gateway", "http.response.status_code": 504}
        if kind != "504":
            told = {
                "service.name": "api", "service.instance.id": f"api-{number % 8}",
                "why504.kind": kind, "why504.resource": "db.pool:main",
            }  # fmt: skip
        one = {
            "spanID": f"{number + 1:x}", "name": f"POST /v1/{number % 5}",
            "startTimeUnixNano": str(start_ns), "durationNanos": str(int((end_s - start_s) * 1e9)),
            "attributes": [
                {"key": key, "value": {"intValue" if isinstance(v, int) else "stringValue": v}}
                for key, v in told.items()
            ],
        }  # fmt: skip
        return {
            "traceID": f"{KINDS.index(kind) + 1}{number:031x}",
            "startTimeUnixNano": str(start_ns),
            "durationMs": int((end_s - start_s) * 1000),
            "spanSets": [{"spans": [one]}],
        }

    def _trace(self, trace_id):
        kind = KINDS[int(trace_id[0]) - 1]
        told = self._found(kind, int(trace_id[1:], 16))
        (one,) = told["spanSets"][0]["spans"]
        begin_ns = int(one["startTimeUnixNano"])
        span_ = {
            "traceId": base64.b64encode(bytes.fromhex(trace_id)).decode(),
            "spanId": base64.b64encode(int(one["spanID"], 16).to_bytes(8)).decode(),
            "name": one["name"], "kind": "SPAN_KIND_SERVER",
            "startTimeUnixNano": str(begin_ns),
            "endTimeUnixNano": str(begin_ns + int(one["durationNanos"])),
            "attributes": one["attributes"],
        }  # fmt: skip
        named = [pair for pair in one["attributes"] if pair["key"].startswith("service.")]
        scopes = [{"spans": [span_]}]
        return {
            "trace": {"resourceSpans": [{"resource": {"attributes": named}, "scopeSpans": scopes}]}
        }


@pytest.mark.slow
def test_an_incident_among_a_million_spans_takes_at_most_200_questions():
    million = Million()
    store = store_on(million, now_ns=NOW_NS)

    evidence = store.sample(HOUR)

    assert len(million.asked) <= 200
    (incident,) = explain(evidence)
    assert incident.count == 20_000
    assert 40 <= len(incident.victims) <= 150
    assert evidence.sample.requests == 20_000
    ends_s = sorted((v.gave_up_ns - T0_NS) / 1e9 for v in incident.victims)
    gaps = np.diff([660, *ends_s, 2_460])
    assert max(gaps) < 120, "victims are spread over the whole incident"
    present = evidence.sample.holders["db.pool:main of api-0"]
    assert present.count.max() > 5


def test_routes_that_are_all_different_cost_no_question_each(monkeypatch):
    spans = [timed_out(n / 10, name=f"GET /raw/{n}") for n in range(2_000)]
    tempo = a_tempo(*spans)
    store = served(tempo, now_ns=NOW_NS, traces=30)

    evidence = store.sample(HOUR)

    assert len(tempo.asked) < 80
    assert sum(incident.count for incident in explain(evidence)) == 2_000


def test_a_window_that_is_too_large_to_be_read_whole_is_refused():
    tempo = a_tempo(*(timed_out(n / 10) for n in range(2_001)))
    store = served(tempo, now_ns=NOW_NS)

    with pytest.raises(StoreUnavailable, match=r"over 2000 traces .* shorter time"):
        store.evidence(HOUR)
    assert len(tempo.asked) < 10


# --- what is there -------------------------------------------------------------------------------


def test_an_empty_tempo_has_no_extent_and_no_evidence():
    store = served(a_tempo(), now_ns=NOW_NS)

    assert store.extent() is None
    assert store.evidence(HOUR).spans == []
    assert store.sample(HOUR).spans == []
    assert store.trace("ab" * 16).spans == ()


@pytest.mark.parametrize("trace_id", ["", "xyz", "ab" * 17, "../../status", "AB" * 16])
def test_what_is_no_trace_id_is_never_asked_for(trace_id):
    tempo = a_tempo()

    assert served(tempo, now_ns=NOW_NS).trace(trace_id) == Evidence(Window(0, 0))
    assert tempo.asked == []


def test_the_extent_covers_the_oldest_and_the_newest_and_is_not_asked_for_again():
    tempo = a_tempo(timed_out(100), timed_out(2_000), timed_out(3_000, 3_060))
    store = served(tempo, now_ns=NOW_NS, lookback="2h")

    extent = store.extent()

    assert T0_NS + 60 * SECOND_NS <= extent.start_ns <= T0_NS + 100 * SECOND_NS
    assert extent.end_ns == T0_NS + 3_060 * SECOND_NS + 1
    asked = len(tempo.asked)
    assert asked < 14
    assert store.extent() == extent
    assert len(tempo.asked) == asked


def test_the_extent_reaches_back_no_further_than_it_may():
    tempo = a_tempo(timed_out(100), timed_out(3_000))
    store = served(tempo, now_ns=NOW_NS, lookback="30m")

    assert store.extent().start_ns >= NOW_NS - 1800 * SECOND_NS


def test_what_is_younger_than_the_lag_is_said_to_be_missing():
    tempo = a_tempo(timed_out(3_540))
    fresh = served(tempo, now_ns=T0_NS + 3_560 * SECOND_NS).sample(HOUR)
    old = served(tempo, now_ns=T0_NS + 3_900 * SECOND_NS).sample(HOUR)

    assert "may not find yet" in " ".join(explain(fresh)[0].caveats)
    assert "may not find yet" not in " ".join(explain(old)[0].caveats)


def test_nobody_is_asked_about_the_future():
    tempo = a_tempo(timed_out(3_540), timed_out(3_590))
    now_ns = T0_NS + 3_600 * SECOND_NS
    store = served(tempo, now_ns=now_ns)

    store.sample(Window(T0_NS, now_ns + 3_600 * SECOND_NS))
    asked = len(tempo.asked)
    store.sample(Window(now_ns + SECOND_NS, now_ns + 60 * SECOND_NS))
    store.sample(Window(now_ns - 20 * SECOND_NS, now_ns))

    assert asked > 2
    for target in tempo.asked:
        told = {key: int(value) for key, value in re.findall(r"(start|end)=(\d+)", target)}
        if told:
            assert told["start"] < told["end"] <= now_ns // SECOND_NS
            assert told["start"] < now_ns // SECOND_NS - 30


def test_an_attribute_that_is_absent_is_not_the_word_nil():
    told = {"key": "why504.resource", "value": {"stringValue": "nil"}}
    one = {
        "spanID": "1f", "name": "x", "startTimeUnixNano": str(T0_NS), "durationNanos": "5",
        "attributes": [told],
    }  # fmt: skip
    found = {"traceID": "ab", "startTimeUnixNano": str(T0_NS), "spanSets": [{"spans": [one]}]}

    ((trace,), _) = decoding.found({"traces": [found]})

    assert (trace.trace_id, trace.rows[0].resource) == ("ab".rjust(32, "0"), None)
    assert trace.rows[0].span_id == bytes(7) + b"\x1f"


def test_traces_are_read_several_at_once_and_never_more_than_that():
    tempo, guard = a_tempo(*(timed_out(n) for n in range(40))), threading.Lock()
    together, most = [0], [0]

    def answer(request):
        with guard:
            together[0] += 1
            most[0] = max(most[0], together[0])
        if "/traces/" in request.url.path:
            time.sleep(0.01)
        with guard:
            together[0] -= 1
            told = tempo.answer(request.url.raw_path.decode(), request.headers)
        return httpx.Response(told.status, content=told.body)

    evidence = store_on(answer, now_ns=NOW_NS, parallel=3).sample(HOUR)

    assert len(evidence.spans) == 40
    assert most[0] == 3


# --- a server in trouble -------------------------------------------------------------------------


def test_a_storm_of_429s_passes():
    tempo, clock = a_tempo(timed_out(10)), Clock()
    tempo.busy = ATTEMPTS - 1

    def answer(request):
        told = tempo.answer(request.url.raw_path.decode(), request.headers)
        return httpx.Response(told.status, content=told.body, headers={"retry-after": "2"})

    evidence = store_on(answer, now_ns=NOW_NS, clock=clock).sample(HOUR)

    assert len(explain(evidence)) == 1
    assert clock.s - 1000 == 2 * (ATTEMPTS - 1)


def test_while_one_question_waits_the_others_do_too():
    clock, tempo = Clock(), a_tempo(*(timed_out(n) for n in range(40)))
    traces = []

    def answer(request):
        if "/traces/" in request.url.path:
            traces.append(clock.s)
            if len(traces) == 1:
                tempo.busy = 1
        told = tempo.answer(request.url.raw_path.decode(), request.headers)
        return httpx.Response(told.status, content=told.body, headers={"retry-after": "20"})

    evidence = store_on(answer, now_ns=NOW_NS, clock=clock, parallel=1).sample(HOUR)

    assert len(evidence.spans) == 40
    assert sorted(set(traces)) == [1000.0, 1020.0]
    assert len(traces) == 41


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_stays_in_trouble_is_asked_a_few_times(status):
    asked = []

    def answer(request):
        asked.append(request.url)
        return httpx.Response(status, text="job queue full")

    with pytest.raises(StoreUnavailable, match="job queue full"):
        store_on(answer, now_ns=NOW_NS).sample(HOUR)
    assert len(asked) == ATTEMPTS


def test_a_pause_that_the_server_asks_for_is_not_for_ever():
    clock = Clock()
    busy = store_on(
        lambda _: httpx.Response(429, headers={"retry-after": "999999999999"}),
        now_ns=NOW_NS,
        clock=clock,
    )

    with pytest.raises(StoreUnavailable):
        busy.sample(HOUR)
    assert clock.s - 1000 <= 180


def test_a_server_that_never_answers_is_given_up():
    def hang(request):
        raise httpx.ReadTimeout("", request=request)

    with pytest.raises(StoreUnavailable, match=r"can't reach Tempo .*no answer in time"):
        store_on(hang, now_ns=NOW_NS).sample(HOUR)


def test_an_answer_that_trickles_in_is_given_up():
    clock = Clock()

    def slowly():
        while True:
            clock.s += 7
            yield b" "

    with pytest.raises(StoreUnavailable, match=r"no answer in time|needs too long"):
        store_on(
            lambda _: httpx.Response(200, content=slowly()), now_ns=NOW_NS, clock=clock
        ).sample(HOUR)
    assert clock.s - 1000 < 250


def test_all_questions_together_have_a_limit_of_time():
    clock, tempo = Clock(), a_tempo(*(timed_out(n / 10) for n in range(300)))

    def slow(request):
        clock.s += 25
        told = tempo.answer(request.url.raw_path.decode(), request.headers)
        return httpx.Response(told.status, content=told.body)

    with pytest.raises(StoreUnavailable, match="needs too long"):
        store_on(slow, now_ns=NOW_NS, clock=clock).sample(HOUR)
    assert len(tempo.asked) < 20


@pytest.mark.parametrize(
    "body",
    [
        b"<html>login</html>", b"", b"[]", b"17", b"null", b'{"traces":', b'{"traces":5}',
        b'{"traces":[5]}', b"{}", b"\xff\xfe",
        b"[" * 100_000, b'{"traces":[{"traceID":"1","startTimeUnixNano":"1","spanSet":[]}]}',
    ],
)  # fmt: skip
def test_an_answer_that_is_no_search_result_is_no_evidence(body):
    with pytest.raises(StoreUnavailable, match="is not Tempo's API"):
        store_on(lambda _: httpx.Response(200, content=body), now_ns=NOW_NS).sample(HOUR)


@pytest.mark.parametrize(
    "body",
    [
        {"trace": 5}, {"trace": {"resourceSpans": {}}}, {"trace": {"resourceSpans": [[]]}}, [],
        {"trace": {"resourceSpans": [{"scopeSpans": [{"spans": ["x"]}]}]}},
    ],
)  # fmt: skip
def test_an_answer_that_is_no_trace_is_no_evidence(body):
    with pytest.raises(StoreUnavailable, match="is not Tempo's API"):
        store_on(lambda _: httpx.Response(200, json=body), now_ns=NOW_NS).trace("ab" * 16)


def whole(*spans):
    return {"trace": {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}}


GOOD = {
    "traceId": base64.b64encode(b"\xab" * 16).decode(),
    "spanId": base64.b64encode(b"\x01" * 8).decode(),
    "startTimeUnixNano": "1790000000000000000",
    "endTimeUnixNano": "1790000001000000000",
    "name": "good",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"traceId": "!"}, {"traceId": ""}, {"spanId": "AAAAAAAAAAA="}, {"spanId": 5},
        {"startTimeUnixNano": "-1"}, {"startTimeUnixNano": "9" * 400}, {"startTimeUnixNano": None},
        {"startTimeUnixNano": [1]}, {"endTimeUnixNano": "1e9"},
        {"attributes": [{"key": "a", "value": {"intValue": "x"}}]},
    ],
)  # fmt: skip
def test_a_span_that_can_not_be_stored_is_left_out_and_the_others_are_not(wrong):
    body = whole({**GOOD, "spanId": "AgICAgICAgI=", **wrong}, GOOD)

    told = store_on(lambda _: httpx.Response(200, json=body), now_ns=NOW_NS).trace("ab" * 16)

    assert [one.name for one in told.spans] == ["good"]


def test_what_a_span_says_is_kept_whatever_it_is():
    values = {
        "text": {"stringValue": "a\ud800b\u202e<script>"},
        "bytes": {"bytesValue": "AAE="},
        "yes": {"boolValue": True},
        "int": {"intValue": "-9223372036854775808"},
        "nan": {"doubleValue": "NaN"},
        "huge": {"doubleValue": 1e308},
        "list": {"arrayValue": {"values": [{"stringValue": "x"}, {"stringValue": "y"}]}},
        "map": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "1"}}]}},
        "none": {},
        "odd": {"futureValue": 1},
        "http.response.status_code": {"stringValue": "504"},
    }
    pairs = [{"key": key, "value": value} for key, value in values.items()]
    body = json.dumps(whole({**GOOD, "attributes": pairs, "kind": "SPAN_KIND_NEW", "status": {}}))

    told = store_on(lambda _: httpx.Response(200, content=body), now_ns=NOW_NS).trace("ab" * 16)

    (one,) = told.spans
    assert one.attributes["text"] == "a?b\u202e<script>"
    assert one.attributes["int"] == -(2**63)
    assert one.attributes["list"] == ["x", "y"]
    assert one.attributes["map"] == '{"k": 1}'
    assert one.attributes["http.response.status_code"] == "504"
    assert "none" not in one.attributes
    assert one.kind == "internal"
    json.dumps(one.attributes["text"]).encode()


def test_a_trace_of_five_megabytes_is_read():
    pairs = [{"key": "code.stacktrace", "value": {"stringValue": "x" * 1_000}}]
    spans = [
        {**GOOD, "spanId": base64.b64encode(n.to_bytes(8)).decode(), "attributes": pairs}
        for n in range(1, 5_001)
    ]
    body = json.dumps(whole(*spans)).encode()
    assert len(body) > 5_000_000

    told = store_on(lambda _: httpx.Response(200, content=body), now_ns=NOW_NS).trace("ab" * 16)

    assert len(told.spans) == 5_000


def test_an_answer_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr("why504.stores.http.LARGEST_BYTES", 10_000)
    store = store_on(lambda _: httpx.Response(200, content=b" " * 20_000), now_ns=NOW_NS)

    with pytest.raises(StoreUnavailable, match="ask for a shorter time"):
        store.sample(HOUR)


def test_a_trace_that_tempo_cut_short_is_read_and_named(caplog):
    body = {**whole(GOOD), "status": "PARTIAL", "message": "Trace exceeds maximum size"}
    store = store_on(lambda _: httpx.Response(200, json=body), now_ns=NOW_NS)

    assert len(store.trace("ab" * 16).spans) == 1
    assert "larger than Tempo allows" in caplog.text


def test_spans_of_another_trace_are_not_taken_for_this_one():
    store = store_on(lambda _: httpx.Response(200, json=whole(GOOD)), now_ns=NOW_NS)

    assert store.trace("cd" * 16).spans == ()


# --- who asks ------------------------------------------------------------------------------------


def seen_headers(**given):
    seen = {}

    def answer(request):
        seen.update(request.headers)
        return httpx.Response(200, json={"traces": [], "metrics": {}})

    store_on(answer, now_ns=NOW_NS, **given).extent()
    return seen


def test_who_asks_is_sent_along(tmp_path):
    file = tmp_path / "token"
    file.write_text(SECRET + "\n")

    assert seen_headers(token=SECRET)["authorization"] == f"Bearer {SECRET}"
    assert seen_headers(token_file=str(file), token="x")["authorization"] == f"Bearer {SECRET}"
    assert seen_headers(tenant="team-a")["x-scope-orgid"] == "team-a"
    basic = base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert seen_headers(user="me", password=SECRET)["authorization"] == f"Basic {basic}"
    assert "authorization" not in seen_headers()


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token_is_named_and_not_told(status):
    store = store_on(
        lambda _: httpx.Response(status, text=f"bad token {SECRET}"), now_ns=NOW_NS, token=SECRET
    )

    with pytest.raises(StoreUnavailable, match="WHY504_TEMPO_TOKEN") as caught:
        store.sample(HOUR)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(TempoSettings(token=SECRET, password=SECRET))


def test_a_redirect_is_not_followed():
    asked = []

    def answer(request):
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": "http://elsewhere.example/?t=" + SECRET})

    with pytest.raises(StoreUnavailable, match="not followed") as caught:
        store_on(answer, now_ns=NOW_NS, token=SECRET).sample(HOUR)
    assert asked == ["tempo.example"]
    assert "elsewhere.example" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://host", "http://", "http://me:secret@host:3200", "http://token@host", "host:3200",
        "http://host:99999", "http://host:3200/?q=1", "http://host/#x", "http://[::1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(address):
    with pytest.raises(ConfigError, match="address must") as caught:
        Client(address, TempoSettings())
    assert "secret" not in str(caught.value)


def test_a_path_before_the_api_is_kept():
    paths = []

    def answer(request):
        paths.append(request.url.path)
        return httpx.Response(200, json={"traces": [], "metrics": {}})

    told = TempoSettings()
    client = Client(ADDRESS + "/tempo/", told, transport=httpx.MockTransport(answer))
    TempoStore(client, told).extent()

    assert paths == ["/tempo/api/search"]


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"LOOKBACK": "forever"}, "LOOKBACK"),
        ({"TIMEOUT_S": "0"}, "TIMEOUT_S"),
        ({"TIMEOUT_S": "soon"}, "not a number"),
        ({"TRACES": "3"}, "TRACES"),
        ({"PARALLEL": "0"}, "PARALLEL"),
        ({"LAG_S": "nan"}, "LAG_S"),
    ],
)
def test_settings_that_make_no_sense_are_refused(env, says):
    with pytest.raises(ConfigError, match=says):
        TempoSettings.from_env({f"WHY504_TEMPO_{name}": value for name, value in env.items()})


def test_settings_come_from_the_environment():
    env = {
        "WHY504_TEMPO_TENANT": "team-a",
        "WHY504_TEMPO_LOOKBACK": "7d",
        "WHY504_TEMPO_LAG_S": "5",
    }

    told = TempoSettings.from_env(env)

    assert (told.tenant, told.lookback_s, told.lag_s) == ("team-a", 7 * 86400, 5.0)


@pytest.mark.parametrize("setting", ["token_file", "ca_file", "cert_file"])
def test_a_file_that_can_not_be_read_is_named(tmp_path, setting):
    told = TempoSettings(**{setting: str(tmp_path / "none")})

    with pytest.raises(ConfigError, match=f"WHY504_TEMPO_{setting.upper()}"):
        Client("https://host:3200", told)


@pytest.mark.parametrize("told", [{"token": "a\nb"}, {"tenant": "é"}])
def test_a_header_that_can_not_be_sent_is_refused(told):
    with pytest.raises(ConfigError, match="WHY504_TEMPO_"):
        Client(ADDRESS, TempoSettings(**told))


# --- opening -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("http://127.0.0.1:3200", "http://127.0.0.1:3200"),
        ("HTTPS://tempo.example/x", "https://tempo.example/x"),
        (".why504", None), ("/var/http://x", None), ("http:", None), ("https", None),
    ],
)  # fmt: skip
def test_an_address_is_told_from_a_folder_also_as_a_path(place, address):
    from pathlib import Path

    assert address_in(place) == address
    assert address_in(Path(place)) == address


def test_what_is_named_is_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("WHY504_TEMPO_TENANT", "team-a")

    assert isinstance(open_store("http://127.0.0.1:3200"), TempoStore)
    assert type(open_store(tmp_path)).__name__ == "ParquetStore"


def test_tempo_is_read_without_the_embedded_store():
    code = """
import sys
from why504.stores.opening import open_store
open_store("http://127.0.0.1:3200")
print([name for name in ("duckdb", "pyarrow", "pandas") if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"
