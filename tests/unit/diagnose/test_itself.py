"""A service that calls itself waits for its own capacity: that is no other API that is down."""

from __future__ import annotations

import pytest
from evidence_by_hand import Scene, site

from why504 import names
from why504.diagnose import explain
from why504.model import Finding


def calls(host: str, port: int | None, *, served_at: str = "10.0.0.7:8000") -> Finding:
    """A request that calls a port of some host for 19 s."""
    scene = Scene(until_s=20)
    scene.app("outer", 1, None, **{names.SERVER_ADDRESS: served_at})
    told = {names.SERVER_ADDRESS: host} | ({} if port is None else {names.SERVER_PORT: port})
    scene.span("outer", "call", "app", 1, None, kind="client", name="GET", site=site(10), **told)
    (incident,) = explain(scene.evidence(), slower_than_s=1.0)
    return incident.finding


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "10.0.0.7"])
def test_a_call_to_its_own_port_is_told_as_the_service_calling_itself(host):
    finding = calls(host, 8000)

    assert finding.cause == "UNKNOWN"
    assert finding.title == "The service calls itself, and waits for its own answer"
    assert "the service calls itself" in finding.sentence
    assert "directly" in finding.advice[0]
    assert str(finding.site) == "service/publisher.py:10"


def test_what_its_callers_keep_meanwhile_is_the_capacity_that_is_short():
    scene = Scene(until_s=20)
    pool = names.http_pool("127.0.0.1")
    scene.app("outer", 1, None)
    scene.hold("outer", 1, None, pool, site=site(10))
    told = {names.SERVER_ADDRESS: "127.0.0.1", names.SERVER_PORT: 8000}
    scene.span("outer", "call", "app", 1, None, kind="client", name="GET", site=site(10), **told)
    for n in range(3):
        scene.app(f"inner{n}", 2, None)
        scene.wait(f"inner{n}", 2, None, pool, site=site(15))

    (incident,) = explain(scene.evidence(), slower_than_s=1.0)

    assert "waits for its own capacity" in incident.finding.sentence


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 9000), ("10.0.0.8", 8000), ("api.example.org", 8000), ("127.0.0.1", None)],
    ids=["another port", "another machine", "another name", "a port that is not told"],
)
def test_any_other_call_is_that_api(host, port):
    assert calls(host, port).cause == "D1"
