"""A time axis in the visitor's zone."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from dashboards.draw.clock import Clock
from tests.unit.dashboards import explorer_examples as told
from why504.model import Window


def clock(seconds: float = 70, zone=UTC) -> Clock:
    return Clock(Window(told.at(0), told.at(seconds)), zone)


def test_what_is_outside_is_at_an_end():
    axis = clock()

    assert axis.ms(told.at(-999)) == axis.ends[0]
    assert axis.ms(told.at(999)) == axis.ends[1]
    assert [axis.share(told.at(s)) for s in (-5, 35, 99)] == [0, 0.5, 1]
    assert not axis.shows(told.at(71))


def test_the_axis_goes_on_evenly_where_clocks_are_changed():
    # 2026-10-25 01:00 UTC: Berlin goes from summer to winter time.
    change_ns = 1_792_890_000 * told.SECOND
    axis = Clock(Window(change_ns - 60 * told.SECOND, change_ns + 60 * told.SECOND),
                 ZoneInfo("Europe/Berlin"))  # fmt: skip

    assert axis.ends[1] - axis.ends[0] == 120_000


@pytest.mark.parametrize(
    ("seconds", "shown"), [(70, "%H:%M:%S"), (3 * 3600, "%H:%M"), (3 * 86_400, "%d.%m. %H:%M")]
)
def test_days_have_dates_and_hours_no_seconds(seconds, shown):
    assert clock(seconds).x("t").to_dict()["axis"]["format"] == shown


def test_zones_of_odd_minutes_are_zones_too():
    axis = clock(zone=timezone(timedelta(hours=5, minutes=45)))

    assert axis.ms(told.at(0)) - clock().ms(told.at(0)) == (5 * 60 + 45) * 60_000
