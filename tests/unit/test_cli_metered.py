"""`why504 explain` and `why504 now` with Prometheus beside the spans."""

import json

import httpx
import pytest
from typer.testing import CliRunner

from lab.standins.tempoindex import Tempo
from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
from tests.unit.stores.prometheus_served import GATEWAY, Served, metrics_on
from tests.unit.stores.tempo_served import served
from why504.cli import app
from why504.stores import opening
from why504.stores.metered import MeteredStore

NGINX = {"service.name": "gateway", "service.instance.id": "nginx"}
T0_S = T0_NS / 1e9


@pytest.fixture
def run(monkeypatch):
    """Run a command on Tempo and on a Prometheus that a function plays."""
    monkeypatch.setenv("COLUMNS", "200")

    def run_on(metrics, command, *arguments, timed_out=7):
        tempo = Tempo()
        told = {"http.response.status_code": 504, "http.request.method": "POST"}
        spans = [
            span(name="POST /v1/pay", start_s=n, end_s=n + 5, attributes=told)
            for n in range(timed_out)
        ]
        spans += [span(name="GET /", start_s=20, end_s=20.1)]
        tempo.take(protobuf(*spans, resource=NGINX))
        store = served(tempo, now_ns=T0_NS + 120 * SECOND_NS)
        both = MeteredStore(store, metrics_on(metrics, now_s=T0_S + 120))
        monkeypatch.setattr(opening, "open_store", lambda *_: both)
        place = ["--store", "http://tempo:3200", "--metrics", "http://prometheus:9090"]
        result = CliRunner().invoke(app, [command, *place, *arguments])
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    return run_on


def counter(total):
    metrics = Served()
    samples = [(T0_S + second, min(total, max(0, second))) for second in range(-60, 120, 10)]
    metrics.add(GATEWAY, samples, status="504")
    return metrics


def down(request):
    raise httpx.ConnectError("refused", request=request)


def test_the_counter_stands_beside_the_requests(run):
    assert "The gateway's counter has 7 x 504 of that time" in run(
        counter(7), "explain", "--last", "all"
    )


def test_a_counter_that_has_more_is_a_caveat(run):
    text = run(counter(40), "explain", "--last", "all")

    assert "counter has 40 x 504" in text
    assert "traces were sampled" in text.replace("│ ", "").replace(" │", "")


def test_504s_that_no_span_tells_of_are_no_all_clear(run):
    text = run(counter(40), "explain", "--last", "all", timed_out=0).replace("│ ", "")

    assert "No span tells of a request that timed out (1 requests seen)" in text
    assert "40 x 504" in text
    assert "Nothing is blamed" not in text


@pytest.mark.parametrize("timed_out", [0, 7])
def test_without_prometheus_the_explanation_is_there_and_says_so(run, timed_out):
    text = run(down, "explain", "--last", "all", timed_out=timed_out)

    assert "can't reach Prometheus" in text
    assert ("7 x 504" in text) == bool(timed_out)


def test_json_has_the_count(run):
    told = json.loads(run(counter(40), "explain", "--last", "all", "--json"))

    assert [one["counted"] for one in told] == [40]


def test_now_has_gauges_and_says_how_late_the_spans_are(run, monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: T0_NS + 120 * SECOND_NS)
    metrics = Served()
    metrics.add("why504_inflight_oldest_age_seconds", [(T0_S + 115, 41.0)])
    metrics.add("http_server_active_requests", [(T0_S + 115, 97)])
    metrics.add("db_client_connection_count", [(T0_S + 115, 15)], pool="main")
    metrics.add("db_client_connection_max", [(T0_S + 115, 15)], pool="main")
    metrics.add("db_client_connection_pending_requests", [(T0_S + 115, 82)], pool="main")

    text = run(metrics, "now")

    assert "97 in flight; the oldest for 41.0 s; db.pool:main 15 of 15 in use, 82 wait" in text
    assert "what is 30 s old" in text
    told = json.loads(run(metrics, "now", "--json"))
    assert (told["lag_s"], told["gauges"][0]["open"], told["problems"]) == (30.0, 97, [])
