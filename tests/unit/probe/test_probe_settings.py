"""What makes no sense is refused, with the name of the variable and what it may be."""

from __future__ import annotations

import pytest

from why504.config import ProbeSettings
from why504.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "told", "said"),
    [
        ("WHY504_GIL_DUMP_AFTER_S", "1", "must be 0, or at least 2"),
        ("WHY504_GIL_DUMP_AFTER_S", "-1", "must be 0, or at least 2"),
        ("WHY504_GIL_DUMP_AFTER_S", "nan", ""),
        ("WHY504_RESTART_AFTER_S", "0.5", "must be at least 1"),
        ("WHY504_BLACK_BOX_MB", "0", "must be at least 1"),
        ("WHY504_ON_STALL", "reboot", "must be one of"),
        ("WHY504_ALERTS_URL", "here", "must be http"),
        ("WHY504_INFLIGHT_LIMIT", "many", ""),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(name: str, told: str, said: str):
    with pytest.raises(ConfigError, match=f"{name}.*{said}"):
        ProbeSettings.from_env({name: told})


@pytest.mark.parametrize("told", ["0", "2", "2.5", "60"])
def test_a_dump_may_come_late_or_never(told: str):
    settings = ProbeSettings.from_env({"WHY504_GIL_DUMP_AFTER_S": told})

    assert settings.gil_dump_after_s == float(told)
