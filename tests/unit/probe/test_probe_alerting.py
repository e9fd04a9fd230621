from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, Gauge

from why504.alerts.intake import from_api
from why504.config import ProbeSettings
from why504.errors import ConfigError
from why504.probe.exposed.alerting import BREAKER, LOOP, Alerting, Reading, Readings
from why504.probe.inflight import Registry
from why504.probe.safety import Guard
from why504.testing import FakeClock

IDENTITY = {"service": "shop", "instance": "shop@a:1"}


class Scene:
    """A process whose values are set by hand, and what it told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.guard = Guard()
        self.values = [Reading(LOOP, 0.0)]
        self.told: list = []
        self.down = False
        self.alerting = Alerting(
            lambda: iter(self.values), self.send, IDENTITY, clock=self.clock, guard=self.guard
        )

    def send(self, alerts) -> None:
        if self.down:
            raise OSError("nobody there")
        self.told += from_api(list(alerts), self.clock.wall_ns()).alerts

    def look(self, *values: Reading, after_s: float = 1.0) -> list:
        self.values = list(values)
        self.clock.advance(after_s)
        before = len(self.told)
        self.alerting.look()
        return [(one.name, one.status) for one in self.told[before:]]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_blocked_loop_is_told_once_repeated_and_over(scene):
    assert scene.look(Reading(LOOP, 4.9)) == []
    assert scene.look(Reading(LOOP, 5.1)) == [("EventLoopBlocked", "firing")]
    assert scene.look(Reading(LOOP, 30.0), after_s=25) == []
    assert scene.look(Reading(LOOP, 66.0), after_s=36) == [("EventLoopBlocked", "firing")]
    assert scene.look(Reading(LOOP, 0.0)) == [("EventLoopBlocked", "resolved")]
    assert scene.look(Reading(LOOP, 0.0), after_s=100) == []
    assert {one.identity for one in scene.told} == {scene.told[0].identity}


def test_the_alert_says_whose_it_is_and_what_is_wrong(scene):
    scene.look(Reading(LOOP, 7.0))
    (alert,) = scene.told

    assert (alert.service, alert.level.name) == ("shop", "P0")
    assert alert.labels["instance"] == "shop@a:1"
    assert alert.annotations == {
        "summary": "The event loop of shop is blocked",
        "description": "It has not turned for 7 s; nothing else runs meanwhile.",
        "runbook_url": "/runbooks/EventLoopBlocked",
    }


def test_what_nobody_took_is_told_again_soon_and_as_of_its_begin(scene):
    scene.down = True
    assert scene.look(Reading(LOOP, 6.0)) == []
    begun_ns = scene.clock.wall_ns()
    scene.down = False
    assert scene.look(Reading(LOOP, 7.0)) == []
    assert scene.look(Reading(LOOP, 12.0), after_s=5) == [("EventLoopBlocked", "firing")]

    assert scene.told[0].starts_ns // 1000 == begun_ns // 1000
    assert scene.guard.errors == {"alerting": 1}


def test_an_end_that_nobody_took_is_told_again(scene):
    scene.look(Reading(LOOP, 6.0))
    scene.down = True
    scene.look(Reading(LOOP, 0.0))
    scene.down = False

    assert scene.look(Reading(LOOP, 0.0), after_s=5) == [("EventLoopBlocked", "resolved")]


def test_two_breakers_are_two_alerts(scene):
    told = scene.look(Reading(BREAKER, 2.0, "groq"), Reading(BREAKER, 1.0, "mem0"))
    scene.look(Reading(BREAKER, 2.0, "groq"), Reading(BREAKER, 2.0, "mem0"))

    assert told == [("CircuitBreakerOpen", "firing")]
    assert len({one.fingerprint for one in scene.told}) == 2


def test_an_open_breaker_is_read_from_the_applications_own_metrics():
    registry, clock = CollectorRegistry(), FakeClock()
    gauge = Gauge("llm_breaker_state", "...", ["provider"], registry=registry)
    gauge.labels("groq").set(2)
    Gauge("llm_in_flight", "...", registry=registry).set(99)

    readings = list(Readings(SimpleNamespace(loops={}), Registry(clock, 10), clock, registry)())

    assert readings[2:] == [Reading(BREAKER, 2.0, "groq")]


def test_an_exception_that_ends_the_program_is_told_without_what_it_says():
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "import sys, why504\nfrom why504.config import ProbeSettings\n"
        "why504.instrument(None, settings=ProbeSettings(endpoint='http://127.0.0.1:9',"
        " metrics_port=-1, alerts_url=sys.argv[1]))\nraise ValueError('secret of a customer')"
    )
    url = f"http://127.0.0.1:{server.server_port}"
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, check=False)
    server.shutdown()
    server.server_close()

    assert (done.returncode, b"secret of a customer" in done.stderr) == (1, True)
    (body,) = bodies
    assert b'"alertname": "ServiceCrashed"' in body
    assert b"ValueError" in body
    assert b"secret" not in body


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="WHY504_ALERTS_URL"):
        ProbeSettings.from_env({"WHY504_ALERTS_URL": "file:///etc/passwd"})
