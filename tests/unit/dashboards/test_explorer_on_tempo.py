"""The explorer, started on Tempo's address instead of a folder."""

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import evidence
from lab.standins.tempoindex import Tempo
from tests.unit.dashboards.conftest import texts
from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
from tests.unit.stores.tempo_served import served

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
