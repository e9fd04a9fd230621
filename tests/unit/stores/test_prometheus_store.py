"""What Prometheus is asked, and what is made of one that is down, busy, slow or hostile."""

import httpx
import pytest

from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS
from tests.unit.stores.prometheus_served import (
    ADDRESS,
    GATEWAY,
    Served,
    exchanges,
    metrics_on,
    needs_recordings,
    recorded,
)
from tests.unit.stores.tempo_served import Clock
from why504 import measured
from why504.errors import ConfigError, StoreUnavailable
from why504.model import Window
from why504.stores.access import PrometheusSettings
from why504.stores.prometheus.client import Client

T0_S = T0_NS / 1e9
NOW_S = T0_S + 3600
HOUR = Window(T0_NS, T0_NS + 3600 * SECOND_NS)
SECRET = "s3cret-t0ken"


def at(*values, every_s=10.0, since_s=0.0):
    return [(T0_S + since_s + n * every_s, value) for n, value in enumerate(values)]


def only(told, kind):
    (track,) = told.of(kind)
    return track


# --- what is asked -------------------------------------------------------------------------------


def test_the_counter_of_504s_is_one_question_with_a_minute_around():
    served = Served()
    served.add(GATEWAY, at(0, 3, 7), status="504")

    told = metrics_on(served, now_s=NOW_S + 600).counted(HOUR)

    assert only(told, measured.TIMEOUTS).values == [0, 3, 7]
    assert only(told, measured.TIMEOUTS).service == "api"
    assert told.problems == ()
    (asked,) = served.asked
    assert asked["query"] == f'sum by (service_name, job, instance) ({GATEWAY}{{status="504"}})'
    assert float(asked["start"]) == pytest.approx(T0_S - 60, abs=0.01)
    assert float(asked["end"]) == pytest.approx(T0_S + 3660, abs=0.01)
    assert float(asked["step"]) == told.step_s == 5


@pytest.mark.parametrize("days", [1, 7, 30])
def test_no_window_has_more_moments_than_prometheus_gives(days):
    served = Served()
    metrics = metrics_on(served, now_s=NOW_S + days * 86_400)
    window = Window(T0_NS, T0_NS + days * 86_400 * SECOND_NS)

    metrics.over(window, metrics.counted(window))

    for asked in served.asked:
        moments = (float(asked["end"]) - float(asked["start"])) / float(asked["step"])
        assert moments < 11_000
        if "over_time" in asked["query"] or "rate(" in asked["query"]:
            assert moments < 250


def test_labels_of_the_settings_are_in_every_selector():
    served = Served()
    served.add(GATEWAY, at(0))
    metrics = metrics_on(served, now_s=NOW_S, match='service_name="shop", cluster=~"eu-.*"')

    metrics.over(HOUR, metrics.counted(HOUR))
    metrics.now()

    for asked in served.asked:
        assert asked["query"].count("{") == asked["query"].count('service_name="shop"')


def test_nobody_is_asked_about_the_future():
    served = Served()

    metrics_on(served, now_s=T0_S + 100).counted(HOUR)

    assert float(served.asked[0]["end"]) == pytest.approx(T0_S + 100, abs=0.01)


def test_gauges_of_several_processes_pools_and_services_are_told_apart():
    served = Served()
    served.add(GATEWAY, at(0))
    for service, instance, used in (("shop", "a:1", 15), ("shop", "b:1", 3), ("pay", "c:1", 7)):
        served.add(
            "db_client_connection_count", at(used), service_name=service, instance=instance,
            pool="main",
        )  # fmt: skip
    metrics = metrics_on(served, now_s=NOW_S)

    told = metrics.over(HOUR, metrics.counted(HOUR))

    assert [
        (one.service, one.instance, one.name, one.values) for one in told.of(measured.IN_USE)
    ] == [
        ("shop", "a:1", "db.pool:main", [15]),
        ("shop", "b:1", "db.pool:main", [3]),
        ("pay", "c:1", "db.pool:main", [7]),
    ]


def test_this_moment_has_the_time_of_the_scrape():
    served = Served()
    served.add("why504_inflight_oldest_age_seconds", at(1.5, 11.5, since_s=3570))
    served.add("http_server_active_requests", at(97))

    told = metrics_on(served, now_s=NOW_S).now()

    assert only(told, measured.OLDEST_S).at_ns[-1] == pytest.approx((NOW_S - 20) * 1e9, abs=1e4)
    assert only(told, measured.OPEN).values == [97]
    assert all(one["path"].endswith("/query") for one in served.asked)


# --- what is missing -----------------------------------------------------------------------------


def test_a_server_without_the_metric_is_said_to_have_none():
    told = metrics_on(Served(), now_s=NOW_S).counted(HOUR)

    assert not told.tracks
    assert len(told.problems) == 1
    assert GATEWAY in told.problems[0]
    assert "spans only" in told.problems[0]


def test_what_is_not_a_number_was_not_told():
    served = Served()
    served.add(GATEWAY, at(0, "NaN", "+Inf", 4))
    served.add(GATEWAY, at("NaN"), instance="b:1")

    told = metrics_on(served, now_s=NOW_S).counted(HOUR)

    assert only(told, measured.TIMEOUTS).values == [0, 4]


def test_an_answer_in_part_is_used_and_said_to_be_one():
    served = Served()
    served.warnings = ["results truncated due to limit"]
    served.add(GATEWAY, at(0, 4))

    told = metrics_on(served, now_s=NOW_S).counted(HOUR)

    assert only(told, measured.TIMEOUTS).values == [0, 4]
    assert told.problems == (
        f"Prometheus at {ADDRESS} answers in part (results truncated due to limit)",
    )


def test_more_series_than_anybody_looks_at_are_cut_and_said():
    served = Served()
    for number in range(600):
        served.add(GATEWAY, at(0, 1), instance=f"i{number}:1")

    told = metrics_on(served, now_s=NOW_S).counted(HOUR)

    assert len(told.tracks) == 500
    assert "over 500 series" in told.problems[0]


# --- a server in trouble -------------------------------------------------------------------------


def refusing(status, body, **headers):
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(status, content=body, headers=headers)

    return answer, asked


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (422, b'{"status":"error","errorType":"execution","error":"the query hit the aggregated '
              b'data size limit (err-mimir-max-chunks-per-query)"}', "err-mimir-max-chunks"),
        (503, b'{"status":"error","errorType":"timeout","error":"query timed out"}', "timed out"),
        (400, b'{"status":"error","errorType":"bad_data","error":"parse error"}', "parse error"),
        (401, b"no org id", "WHY504_PROMETHEUS_TENANT"),
        (404, b"404 page not found", "path belongs before /api"),
        (302, b"", "not followed"),
        (200, b"<html>", "not Prometheus' API"),
        (200, b'{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}', "no series"),
        (200, b'{"status":"success"}', "no series"),
        (200, b"[]", "no series"),
        (200, b'{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1]]}]}}', "no se"),
    ],
)  # fmt: skip
def test_what_is_refused_is_one_question_and_one_sentence(status, body, says):
    answer, asked = refusing(status, body)

    told = metrics_on(answer, now_s=NOW_S).counted(HOUR)

    assert not told.tracks
    assert len(asked) == 1
    assert len(told.problems) == 1
    assert says in told.problems[0]


def test_a_busy_server_is_asked_again_when_it_says_so():
    served, clock, refused = Served(), Clock(), []
    served.add(GATEWAY, at(0, 4))

    def answer(request):
        if len(refused) < 2:
            refused.append(request)
            return httpx.Response(429, headers={"retry-after": "3"})
        return served(request)

    told = metrics_on(answer, now_s=NOW_S, clock=clock).counted(HOUR)

    assert only(told, measured.TIMEOUTS).values == [0, 4]
    assert clock.s - 1000 == 6


def test_a_server_that_stays_busy_costs_less_than_half_a_minute():
    answer, asked = refusing(429, b"", **{"retry-after": "8"})
    clock = Clock()

    told = metrics_on(answer, now_s=NOW_S, clock=clock).counted(HOUR)

    assert "too busy" in told.problems[0]
    assert clock.s - 1000 <= 20
    assert len(asked) <= 4


def test_where_the_first_question_fails_the_others_are_not_asked():
    asked = []

    def hang(request):
        asked.append(request)
        raise httpx.ConnectError("refused", request=request)

    metrics = metrics_on(hang, now_s=NOW_S)

    told = metrics.over(HOUR, metrics.counted(HOUR))

    assert len(asked) == 2
    assert "can't reach Prometheus" in told.problems[0]


def test_one_query_that_is_refused_hides_no_other():
    served = Served()
    served.add(GATEWAY, at(0))
    served.add("why504_eventloop_stall_age_seconds", at(0, 12))

    def answer(request):
        if b"db_client_connection_count" in request.url.query:
            return httpx.Response(422, json={"status": "error", "error": "too many chunks"})
        return served(request)

    metrics = metrics_on(answer, now_s=NOW_S)
    told = metrics.over(HOUR, metrics.counted(HOUR))

    assert only(told, measured.STALL_S).values == [0, 12]
    assert len(told.problems) == 1


# --- who asks ------------------------------------------------------------------------------------


def test_who_asks_is_sent_along_and_never_told():
    seen = []

    def answer(request):
        seen.append(request.headers)
        return httpx.Response(403, text=SECRET)

    told = metrics_on(answer, now_s=NOW_S, token=SECRET, tenant="team-a").counted(HOUR)

    assert seen[0]["authorization"] == f"Bearer {SECRET}"
    assert seen[0]["x-scope-orgid"] == "team-a"
    assert SECRET not in told.problems[0]
    assert SECRET not in repr(PrometheusSettings(token=SECRET, password=SECRET))


@pytest.mark.parametrize(
    "match", ['service_name="shop"', ' a = "b" , c!~"d\\"e"', ""]
)  # fmt: skip
def test_label_matchers_are_taken(match):
    assert PrometheusSettings.from_env({"WHY504_PROMETHEUS_MATCH": match}).match == match


@pytest.mark.parametrize("match", ["shop", 'a="b"} or up{c="d"', 'a="b', "{a='b'}", 'a="b",,'])
def test_what_is_no_label_matcher_is_refused(match):
    with pytest.raises(ConfigError, match="WHY504_PROMETHEUS_MATCH"):
        PrometheusSettings.from_env({"WHY504_PROMETHEUS_MATCH": match})


def test_an_address_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(ConfigError, match="WHY504_PROMETHEUS_USER") as caught:
        Client("http://me:hunter2@host:9090", PrometheusSettings())
    assert "hunter2" not in str(caught.value)


# --- recordings of the real server ---------------------------------------------------------------


def client_on(name, status=200):
    def answer(_):
        return httpx.Response(status, content=recorded(name))

    settings, clock = PrometheusSettings(), Clock()
    return Client(
        ADDRESS, settings, transport=httpx.MockTransport(answer), clock=clock, sleep=clock.sleep
    )


def answer_of(name, status=200):
    return client_on(name, status).at("x", 0.0, 2000.0)


@needs_recordings
def test_a_recorded_gap_is_a_gap():
    (line,) = answer_of("query-range-matrix.json").lines

    gaps = [later - earlier for earlier, later in zip(line.at_s, line.at_s[1:], strict=False)]
    assert max(gaps) > 2 * min(gaps)


@needs_recordings
def test_the_recorded_mean_of_a_hung_service_tells_nothing_while_it_hangs():
    (line,) = answer_of("query-range-nan.json").lines

    began_s = 1795449924.386 + 25
    assert line.at_s
    assert not [at_s for at_s in line.at_s if began_s + 6 < at_s < began_s + 17]


@needs_recordings
@pytest.mark.parametrize("name", ["query-empty.json", "query-range-empty.json", "query-nan.json"])
def test_recorded_answers_without_a_number_have_none(name):
    assert not any(line.values for line in answer_of(name).lines)


@needs_recordings
def test_a_recorded_warning_is_told_and_an_info_is_not():
    assert answer_of("query-limit.json").partial == "results truncated due to limit"
    assert answer_of("query-info-annotation.json").partial == ""


FAILED = [e for e in exchanges() if e["status"] >= 400 and "/query" in e["path"]]


@needs_recordings
@pytest.mark.parametrize("exchange", FAILED, ids=lambda exchange: exchange["file"])
def test_recorded_errors_are_one_sentence(exchange):
    with pytest.raises(StoreUnavailable) as caught:
        answer_of(exchange["file"], exchange["status"])

    assert str(caught.value).startswith(("Prometheus at", ADDRESS))
    assert "{" not in str(caught.value).partition("refuses")[0]
    assert "\n" not in str(caught.value)
