"""The live view on Tempo: the same as on the embedded store, as of what Tempo can show."""

import threading
import time
from dataclasses import replace

import httpx
import pytest

from lab.standins.tempoindex import Tempo
from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf
from tests.unit.stores.hangs_by_hand import API, GATEWAY, loop_hang, pool_hang, request
from tests.unit.stores.prometheus_served import Served, metrics_on
from tests.unit.stores.tempo_served import Clock, store_on
from why504.diagnose.health import health
from why504.errors import StoreUnavailable
from why504.model import Window
from why504.receive.decode import Decoder
from why504.receive.segments import Segments
from why504.stores.following import Following
from why504.stores.metered import MeteredStore
from why504.stores.parquet import ParquetStore
from why504.stores.tempo.newest import MOST_READ

LAG_S = 1.0


class Service:
    """A hang that is told to both stores as it goes on; seconds since it began."""

    def __init__(self, folder, told, **settings):
        gateway, app = told
        self.waiting = [*((one, GATEWAY) for one in gateway), *((one, API) for one in app)]
        self.waiting.sort(key=lambda one: one[0]["end_s"])
        self.now_s = 0.0
        self.tempo = Tempo(clock=lambda: T0_NS / 1e9 + self.now_s, lag_s=LAG_S)
        self.segments = Segments(folder / "segments")
        self.asked = []
        self._shown = []
        """What the embedded store gets a second later: as late as Tempo finds it."""
        self.broken = False
        settings = {"lag_s": LAG_S, **settings}
        self.store = store_on(self._answer, now_ns=0, clock=Clock(), **settings)
        self.store._now_ns = self.now_ns
        self.embedded = Following(ParquetStore(folder))

    def now_ns(self):
        return T0_NS + round(self.now_s * 1e9)

    def _answer(self, request):
        if self.broken:
            return httpx.Response(404)
        self.asked.append(request.url.raw_path.decode())
        told = self.tempo.answer(self.asked[-1], request.headers)
        return httpx.Response(told.status, content=told.body)

    def until(self, seconds):
        """Export what was told until then, every second."""
        while self.now_s < seconds:
            self.now_s += 1
            for name, body in self._shown:
                self.segments.write(name, [Decoder().decode(body)])
            self._shown = []
            due = [one for one in self.waiting if one[0]["end_s"] <= self.now_s]
            self.waiting = self.waiting[len(due) :]
            for resource in (GATEWAY, API):
                mine = [one for one, whose in due if whose is resource]
                if mine:
                    body = protobuf(*mine, resource=resource)
                    self.tempo.take(body)
                    self._shown.append((f"{int(self.now_s):06}-{resource['service.name']}", body))


def shape(now):
    """What a view shows, without what the stores' lags change."""
    return (
        sorted((one.route, one.state, one.waits_for, one.trace_id) for one in now.open),
        [(busy.resource, busy.waiters, busy.units) for busy in now.resources],
        sorted((held.resource, held.trace_id, held.waiters) for held in now.holders),
        [(i.finding.cause, i.finding.mechanism, str(i.finding.site)) for i in now.incidents],
        now.victims,
    )


@pytest.mark.parametrize("told", [pool_hang, loop_hang], ids=["pool", "loop"])
def test_a_hang_is_seen_while_it_goes_on_as_in_the_embedded_store(tmp_path, told):
    service = Service(tmp_path, told())
    following = Following(service.store)

    for seconds in (4, 6, 8, 10, 13, 15):
        service.until(seconds)
        found = following.look(service.now_ns())
        expected = service.embedded.look(service.now_ns() - int(LAG_S * 1e9))
        assert shape(found) == shape(expected), seconds
        assert (found.lag_s, found.at_ns) == (LAG_S, expected.at_ns)
        assert health(found).state == health(expected).state

    assert health(found).state == "hung"
    (incident,) = found.incidents
    assert incident.finding.mechanism in ("pool", "loop")


def test_a_page_that_nobody_looked_at_for_a_while_catches_up(tmp_path):
    service = Service(tmp_path, pool_hang())
    following = Following(service.store)
    service.until(3)
    following.look(service.now_ns())
    service.until(15)

    found = following.look(service.now_ns())

    assert shape(found) == shape(service.embedded.look(service.now_ns() - int(LAG_S * 1e9)))


def test_what_was_read_is_not_told_again(tmp_path):
    service = Service(tmp_path, pool_hang())
    newest = service.store.newest()
    service.until(10)
    first = newest.newer(around(service))
    again = newest.newer(around(service))

    assert len(first) > 30
    assert again == []


def around(service):
    return Window(service.now_ns() - 900 * SECOND_NS, service.now_ns() + 900 * SECOND_NS)


def test_a_look_is_a_few_searches_and_at_most_forty_whole_traces(tmp_path):
    gateway, app = pool_hang()
    for n in range(300):
        start_s = 1 + n / 100
        ages_s = (1, 2.5, 4.75, 8.1)
        app += request(f"more{n}", start_s, 70, [start_s + age_s for age_s in ages_s])[1]
    service = Service(tmp_path, (gateway, app))
    following = Following(service.store)
    service.until(8)
    following.look(service.now_ns())
    service.until(10)
    before = len(service.asked)

    found = following.look(service.now_ns())

    asked = service.asked[before:]
    assert len(found.open) > 300
    assert sum("/traces/" in target for target in asked) <= MOST_READ
    assert sum("/search" in target for target in asked) == 8


def test_a_look_that_fails_is_made_up_for_by_the_next(tmp_path):
    service = Service(tmp_path, pool_hang())
    following = Following(service.store)
    service.until(6)
    following.look(service.now_ns())
    service.broken = True
    service.until(13)
    with pytest.raises(StoreUnavailable):
        following.look(service.now_ns())
    service.broken = False
    service.until(15)

    found = following.look(service.now_ns())

    assert shape(found) == shape(service.embedded.look(service.now_ns() - int(LAG_S * 1e9)))


def test_with_tempos_own_lag_the_view_is_of_half_a_minute_ago(tmp_path):
    service = Service(tmp_path, pool_hang(), lag_s=30.0)
    service.tempo.lag_s = 30.0
    following = Following(service.store)
    service.until(44)

    found = following.look(service.now_ns())

    assert found.lag_s == 30
    assert found.at_ns == service.now_ns() - 30 * SECOND_NS
    assert sum(found.timeouts_per_s) == 8
    assert health(found).state == "hung"


def test_gauges_tell_of_a_hang_before_tempo_does(tmp_path):
    service = Service(tmp_path, pool_hang(), lag_s=30.0)
    service.tempo.lag_s = 30.0
    served = Served()
    t_s = T0_NS / 1e9
    for metric, value in (
        ("why504_inflight_oldest_age_seconds", 11.0), ("http_server_active_requests", 8),
        ("why504_eventloop_stall_age_seconds", 10.5),
    ):  # fmt: skip
        served.add(metric, [(t_s + 12, value)])
    served.add("db_client_connection_count", [(t_s + 12, 2)], pool="main")
    served.add("db_client_connection_max", [(t_s + 12, 2)], pool="main")
    served.add("db_client_connection_pending_requests", [(t_s + 12, 6)], pool="main")
    following = Following(MeteredStore(service.store, metrics_on(served, now_s=t_s + 13)))
    service.until(13)

    found = health(following.look(service.now_ns()))

    assert found.state == "hung"
    (one,) = found.standings
    assert (one.service, one.open, one.oldest_s, one.stall_s) == ("api", 8, 11.0, 10.5)
    (pool,) = one.taken
    assert (pool.name, pool.in_use, pool.capacity, pool.waiting) == ("db.pool:main", 2, 2, 6)


def test_without_prometheus_the_view_is_the_same_and_says_so(tmp_path):
    def down(asked):
        raise httpx.ConnectError("refused", request=asked)

    service = Service(tmp_path, pool_hang())
    following = Following(MeteredStore(service.store, metrics_on(down, now_s=T0_NS / 1e9)))
    service.until(13)

    found = following.look(service.now_ns())

    expected = service.embedded.look(service.now_ns() - int(LAG_S * 1e9))
    assert shape(replace(found, measured=None)) == shape(expected)
    assert any("can't reach Prometheus" in problem for problem in found.measured.problems)


def test_gauges_that_are_slow_hold_up_no_look_but_the_first(tmp_path):
    served, slow = Served(), threading.Event()
    served.add("http_server_active_requests", [(T0_NS / 1e9, 8)])

    def answer(asked):
        if slow.is_set():
            time.sleep(3)
        return served(asked)

    service = Service(tmp_path, pool_hang())
    following = Following(MeteredStore(service.store, metrics_on(answer, now_s=T0_NS / 1e9)))
    service.until(5)
    first = following.look(service.now_ns())
    slow.set()
    began_s = time.monotonic()

    again = following.look(service.now_ns())

    assert time.monotonic() - began_s < 3
    assert again.measured == first.measured
    assert [track.values for track in first.measured.of("open")] == [[8.0]]
