"""The page about libraries says what they were tested with: what is in the lock."""

from __future__ import annotations

import re
from pathlib import Path

from why504.probe.spans import spanned

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "instrumented.md").read_text()
LOCK = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.M))


def test_versions_are_those_of_the_lock():
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| ")]
    told = [pair for row in rows for pair in re.findall(r"([a-z][\w-]*) (\d+\.\d+\.\d+)", row[2])]

    assert len(told) > 12
    assert {name: LOCK[name] for name, _ in told} == dict(told)


def test_every_instrumentation_that_is_stepped_back_for_is_named():
    for module, _ in spanned._STOCK.values():
        assert f"-{module.rpartition('.')[2].replace('_', '-')}`" in PAGE
