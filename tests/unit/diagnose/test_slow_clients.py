"""A request that waits for the rest of its own body waits for its client, and is told so."""

from __future__ import annotations

import pytest
from evidence_by_hand import Scene, site

from why504 import names
from why504.diagnose import explain
from why504.model import Finding

READS = (
    'File "asyncio/locks.py", line 213, in Event.wait\n'
    'File "uvicorn/protocols/http/httptools_impl.py", line 574, in RequestResponseCycle.receive\n'
    'File "starlette/requests.py", line 243, in Request.stream\n'
    'File "starlette/requests.py", line 259, in Request.body\n'
)
"""As the probe tells it, the application's line last."""


def upload(scene: Scene, stack: str = READS) -> None:
    """A request that is at this stack from 1 on."""
    scene.app("upload", 1, None, "/upload")
    line = 'File "shop.py", line 62, in upload'
    scene.span("upload", "read", "app", 1, None, site=site(62, "shop.py"), stack=stack + line)


def finding(scene: Scene) -> Finding:
    (incident,) = explain(scene.evidence(), slower_than_s=1.0)
    assert incident.blame_in_s == pytest.approx(incident.blame_out_s, abs=1e-6)
    return incident.finding


def test_who_waits_for_the_rest_of_a_body_waits_for_the_client_at_the_line_that_reads_it():
    scene = Scene(until_s=20)
    upload(scene)

    told = finding(scene)

    assert (told.cause, told.mechanism, str(told.site)) == ("UNKNOWN", "none", "shop.py:62")
    assert "the service waits for its clients" in told.sentence
    assert told.chain[-1].what == (
        "the client, which has not sent the rest of its request (awaited at shop.py:62)"
    )
    assert "shop.py:62" in told.advice[0]
    assert not any("why504.resource(" in line for line in told.advice)


@pytest.mark.parametrize(
    "stack",
    [
        'File "asyncio/tasks.py", line 649, in sleep\n',
        # Innermost is code of the application that the body passes through.
        'File "shop.py", line 62, in unpacked\n' + READS,
    ],
)
def test_own_code_is_no_client(stack):
    scene = Scene(until_s=20)
    upload(scene, stack)

    assert "client" not in finding(scene).sentence


def test_what_a_slow_client_keeps_from_others_is_told_with_the_client():
    scene = Scene(until_s=20)
    upload(scene)
    scene.hold("upload", 1, None, site=site(60, "shop.py"))
    for n in range(5):
        scene.app(f"v{n}", 2, None)
        scene.wait(f"v{n}", 2, None)

    told = finding(scene)

    assert (told.cause, told.mechanism, str(told.site)) == ("UNKNOWN", "pool", "shop.py:62")
    assert "the service waits for its clients" in told.sentence


def test_a_row_that_a_slow_client_keeps_locked_is_no_fault_of_the_database():
    scene = Scene(until_s=20)
    upload(scene)
    scene.hold("upload", 1, None, **{names.BACKEND_PID: 100})
    scene.hold("pg", 1, None, "db.lock:t#100", instance="pg", **{names.BACKEND_PID: 100})
    for n in range(5):
        pid = {names.BACKEND_PID: 101 + n}
        scene.app(f"v{n}", 2, None)
        scene.hold(f"v{n}", 2, None, **pid)
        scene.span(f"v{n}", "update", "app", 2, None, kind="client", **{names.DB_SYSTEM: "pg"})
        scene.wait(f"pg{n}", 2, None, "db.lock:t#100", instance="pg", **pid)

    told = finding(scene)

    assert (told.cause, told.mechanism) == ("UNKNOWN", "lock")
    assert "the service waits for its clients" in told.sentence
