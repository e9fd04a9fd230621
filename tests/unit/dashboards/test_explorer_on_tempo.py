"""The explorer, started on Tempo's address instead of a folder."""

import httpx
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import evidence
from lab.standins.tempoindex import Tempo
from tests.unit.dashboards.conftest import charts, drawn, interpreted, texts
from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
from tests.unit.stores.prometheus_served import Served, metrics_on
from tests.unit.stores.tempo_served import served
from why504.stores.metered import MeteredStore

ADDRESS = "http://tempo.example:3200"
GATEWAY = {"service.name": "gateway", "service.instance.id": "nginx"}


@pytest.fixture
def opened(monkeypatch):
    """Open a page with Tempo's address in the environment."""
    monkeypatch.setattr("sys.argv", ["explorer.py"])
    monkeypatch.setenv("WHY504_STORE", ADDRESS)
    # No server, so no address on which it listens: whether somebody may look is tested elsewhere.
    monkeypatch.setenv("WHY504_EXPLORER_ALLOW", "*")

    def open_page(path, **query):
        page = AppTest.from_string(
            f"from dashboards.pages import show\nshow({path!r})", default_timeout=30
        )
        page.query_params.update(query)
        page.run()
        assert not page.exception
        return page

    st.cache_resource.clear()
    yield open_page
    st.cache_resource.clear()


@pytest.fixture
def tempo(monkeypatch):
    tempo = Tempo()
    store = served(tempo, now_ns=T0_NS + 600 * SECOND_NS)
    places = []
    monkeypatch.setattr(evidence, "open_store", lambda place: places.append(place) or store)
    return tempo


def test_incidents_in_tempo_are_shown(opened, tempo):
    told = {"http.response.status_code": 504, "http.request.method": "POST"}
    spans = [span(name="POST /v1/pay", start_s=n, end_s=n + 5, attributes=told) for n in range(7)]
    tempo.take(protobuf(*spans, resource=GATEWAY))

    (incident,) = evidence.incidents(evidence.Path("http:/tempo.example:3200"))
    page = opened("incident", incident=incident.id)

    assert incident.count == 7
    assert any("7 x 504 on POST /v1/pay" in text for text in texts(page))


def test_an_empty_tempo_is_named_as_it_was_told(opened, tempo):
    page = opened("incidents")

    assert any(ADDRESS in text for text in texts(page))


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"WHY504_STORE": "http://127.0.0.1:1"}, "is it running"),
        ({"WHY504_STORE": "http://me:hunter2@tempo.example"}, "must not have a password"),
        ({"WHY504_TEMPO_LOOKBACK": "soon"}, "WHY504_TEMPO_LOOKBACK"),
    ],
)
@pytest.mark.parametrize("path", ["incidents", "incident", "llm"])
def test_a_tempo_that_can_not_be_asked_is_a_sentence(opened, monkeypatch, env, says, path):
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    page = opened(path)

    assert any(says in text for text in texts(page))
    assert not any("hunter2" in text for text in texts(page))


def test_the_live_page_shows_what_tempo_has_and_how_old_it_is(opened, tempo, monkeypatch):
    now_ns = T0_NS + 600 * SECOND_NS
    monkeypatch.setattr("time.time_ns", lambda: now_ns)
    told = {"http.response.status_code": 504, "http.request.method": "POST"}
    spans = [
        span(name="POST /v1/pay", start_s=500 + n, end_s=560 + n, attributes=told) for n in range(4)
    ]
    tempo.take(protobuf(*spans, resource=GATEWAY))

    page = opened("now")

    assert any("4 × 504 in the last minute" in text for text in texts(page))
    assert any("30" in caption.value for caption in page.caption)


def test_gauges_stand_on_the_live_page_as_plain_text(opened, tempo, monkeypatch):
    now_ns = T0_NS + 600 * SECOND_NS
    monkeypatch.setattr("time.time_ns", lambda: now_ns)
    at_s = now_ns / 1e9 - 5
    metrics, labels = Served(), {"service_name": "pay **<script>**", "pool": "main"}
    for metric, value in (
        ("why504_inflight_oldest_age_seconds", 41.0), ("http_server_active_requests", 97),
        ("why504_eventloop_stall_age_seconds", 12.5), ("db_client_connection_count", 15),
        ("db_client_connection_max", 15), ("db_client_connection_pending_requests", 82),
    ):  # fmt: skip
        metrics.add(metric, [(at_s, value)], **labels)
    both = MeteredStore(evidence.open_store(ADDRESS), metrics_on(metrics, now_s=now_ns / 1e9))
    monkeypatch.setattr(evidence, "open_store", lambda _: both)

    page = opened("now")

    text = "\n".join(texts(page))
    assert "97 in flight, the oldest for 41" in text
    assert "1 of 1 event loops blocked" in text
    assert "db.pool:main: 15 / 15 in use, 82 wait" in text
    assert "pay **<script>**" in text
    assert not any("script" in shown for shown in interpreted(page))
    assert any("It hangs" in error.value for error in page.error)


def test_a_prometheus_that_is_down_leaves_the_live_page_as_it_is(opened, tempo, monkeypatch):
    def down(request):
        raise httpx.ConnectError("refused", request=request)

    both = MeteredStore(evidence.open_store(ADDRESS), metrics_on(down, now_s=T0_NS / 1e9))
    monkeypatch.setattr(evidence, "open_store", lambda _: both)

    page = opened("now")

    assert any("can't reach Prometheus" in text for text in texts(page))
    assert any("Gauges are missing" in warning.value for warning in page.warning)


def test_calls_of_llms_in_tempo_are_shown(opened, tempo):
    told = {"gen_ai.provider.name": "groq", "gen_ai.request.model": "llama", "error.type": "429"}
    calls = [
        span(name="chat llama", kind=3, start_s=560 + n, end_s=562 + n, status=2, attributes=told)
        for n in range(5)
    ]
    api = {"service.name": "api", "service.instance.id": "api-1"}
    tempo.take(protobuf(*calls, resource=api))

    page = opened("llm")

    assert any("groq" in str(row) for rows in [*charts(page), *drawn(page)] for row in [rows])
