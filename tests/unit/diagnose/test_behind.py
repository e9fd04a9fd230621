"""A loop that stands at a lock of threads: the verdict is its line, and leads on to who has it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidence_by_hand import Scene, site

from why504 import names
from why504.diagnose import explain
from why504.diagnose.engine import blamer_of
from why504.diagnose.standstill import as_incident, standstills
from why504.model import Finding

LOOP = {names.THREAD_ID: 1}
AT = {names.HOLD_AT: 'File "service/report.py", line 25, in report'}


def blocked(scene: Scene) -> None:
    """A request that blocks the loop from 6 on, as the probe tells it."""
    scene.app("price", 6, None, "/price")
    scene.wait("price", 6.5, None, "lock:a", site=site(29), **LOOP)
    scene.stall("price", 6, None, site(29), **LOOP)


def told(scene: Scene) -> Finding:
    for n in range(5):
        scene.gateway(f"v{n}", 10 + n * 0.1, 14 + n * 0.1)
    (incident,) = explain(scene.evidence())
    assert incident.blame_in_s == pytest.approx(incident.blame_out_s, abs=1e-6)
    assert (incident.finding.cause, incident.finding.site) == ("B1", site(29))
    return incident.finding


def report(scene: Scene) -> None:
    """A request in a thread that has the lock."""
    scene.app("report", 5, None, "/report")
    scene.hold("report", 5.1, None, "lock:a", site=site(24), **{names.THREAD_ID: 2}, **AT)


def test_the_chain_leads_from_the_blocking_line_to_who_has_the_lock_and_where_it_is():
    scene = Scene(until_s=40)
    report(scene)
    blocked(scene)

    finding = told(scene)

    assert finding.chain[-2].what == "publish blocks the event loop at service/publisher.py:29"
    assert finding.chain[-1].what == "waiting for the lock a"
    has = "POST /report has it, taken at service/publisher.py:24, and is at service/report.py:25"
    assert list(finding.chain[-1].evidence) == [f"{has} now"]
    assert f"waiting for the lock a: {has} now." in finding.sentence
    assert any("asyncio.Lock" in line for line in finding.advice)


def test_a_lock_that_nobody_is_known_to_have_is_told_all_the_same():
    scene = Scene(until_s=40)
    blocked(scene)

    assert list(told(scene).chain[-1].evidence) == ["nobody is known to have it"]


@pytest.mark.parametrize("other", [{"site": site(30)}, {names.THREAD_ID: 2}, {"instance": "app-2"}])
def test_who_waits_elsewhere_blocks_no_loop(other):
    scene = Scene(until_s=40)
    report(scene)
    blocked(scene)
    (wait,) = scene.waits
    fields = {name: value for name, value in other.items() if name in ("site", "instance")}
    attributes = {**wait.attributes, **{k: v for k, v in other.items() if k not in fields}}
    scene.waits = [replace(wait, attributes=attributes, **fields)]

    assert "waiting for the lock" not in told(scene).chain[-1].what


def test_for_machines_a_standstill_without_victims_leads_on_too():
    scene = Scene(until_s=40)
    report(scene)
    blocked(scene)

    (one,) = standstills(scene.evidence())
    finding = as_incident(one, blamer_of(scene.evidence())).finding

    assert finding.chain[-1].what == "waiting for the lock a"
