"""The synchronous service: which faults it has, and that it answers what the load sends."""

from __future__ import annotations

import inspect
import random
from dataclasses import replace

import pytest
from fastapi.routing import APIRoute

from lab.faults import FAULTS, fault
from lab.load import ROUTES
from lab.matrix.conditions import condition
from lab.sync.faults import LEFT_OUT, in_threads
from lab.sync.routes import UseCases, build_router
from lab.sync.variants import VARIANTS
from why504.diagnose.causes import CAUSES, NOTHING_TO_BLAME

SYNC = [row for row in FAULTS if row.id not in LEFT_OUT]
EVERY_FAULT = pytest.mark.parametrize("row", SYNC, ids=lambda row: row.id)


def routes() -> list[APIRoute]:
    unused = None
    router = build_router(UseCases(unused, unused, unused, unused, unused))
    return [route for route in router.routes if isinstance(route, APIRoute)]


@EVERY_FAULT
def test_a_fault_in_threads_is_made_of_parts_and_names_a_line_that_exist(row):
    changed = in_threads(row)

    assert (changed.id, changed.factory) == (row.id, "lab.sync.app:create_app")
    assert changed.variant in VARIANTS
    assert changed.trigger in {cause.id for cause in (*CAUSES, NOTHING_TO_BLAME)}
    if changed.site is not None:
        assert changed.site.resolve().startswith("lab/")


def test_a_blocking_llm_call_in_a_thread_is_no_longer_a_blocked_loop():
    changed = condition("sync").change(fault("B1"))

    assert (changed.trigger, changed.mechanism) == ("B3", "limiter")


def test_what_has_no_form_in_threads_is_left_out_with_its_reason():
    left_out = condition("sync").left_out

    assert all(left_out.values())
    for fault_id in left_out:
        with pytest.raises(KeyError):
            in_threads(replace(fault("F1"), id=fault_id))


@pytest.mark.parametrize("route", ROUTES)
def test_every_request_of_the_load_has_its_endpoint(route):
    method, path, _ = ROUTES[route](random.Random(1))

    found = [r for r in routes() if r.path_regex.match(path) and method in r.methods]

    assert len(found) == 1


def test_no_endpoint_runs_on_the_event_loop():
    assert not [route.path for route in routes() if inspect.iscoroutinefunction(route.endpoint)]
