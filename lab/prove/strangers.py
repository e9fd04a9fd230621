"""Services of other people's habits, hung each in its way and explained from telemetry alone.

Beside it what stock OpenTelemetry would have to show for the same requests: spans that ended.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from lab.prove.run import Run
from lab.prove.verdict import WIDTH, Check, Verdict
from lab.strangers.play import Told, play
from lab.strangers.rig import Rig
from lab.strangers.table import STRANGERS

MOST_S: Final = 60.0
"""From the first request that hung to the right answer."""
REHEARSED: Final = 3


def prove(run: Run) -> Verdict:
    """Hang one stranger after another, and compare what is told with what was done."""
    run.say("starting the receiver and nginx")
    rig = Rig.start(run.folder, run.stack)
    told: list[Told] = []
    for stranger in STRANGERS[: REHEARSED if run.rehearsal else None]:
        run.say(f"{stranger.id}: {stranger.habit}; {stranger.hangs}")
        told.append(play(stranger, rig))
        run.say("; ".join(told[-1].problems) or f"right: {told[-1].sentence}")
    (Console() if os.isatty(1) else Console(width=WIDTH)).print(_table(told))
    verdict = Verdict("prove-strangers")
    for one in told:
        verdict.checks += _checks(one)
    verdict.facts["strangers"] = [_plain(one) for one in told]
    return verdict


def _checks(told: Told) -> Sequence[Check]:
    name = told.stranger.id
    after_s = float("nan") if told.right_after_s is None else round(told.right_after_s, 1)
    return [
        # The baseline is what the spans that ended say, to whoever has no others.
        Check(f"told rightly, {name}", float(not told.problems), 1, "", told.finished, True),
        Check(f"first hang to the right answer, {name}", after_s, MOST_S, "s"),
    ]


def _table(told: Sequence[Told]) -> Table:
    table = Table(
        "service", "how it hung", "expected", "told", "after", "fidelity", "ended spans",
        header_style="bold", caption="ended spans: of the hung requests, all that stock sends",
    )  # fmt: skip
    for one in told:
        expected = f"{one.stranger.cause} {_short(one.stranger.site.resolve())}"
        table.add_row(
            one.stranger.service,
            one.stranger.hangs,
            expected,
            f"{one.cause} {one.site}",
            "never" if one.right_after_s is None else f"{one.right_after_s:.1f} s",
            _fidelity(one),
            str(one.finished),
            style="bold red" if one.problems else None,
        )
    return table


def _fidelity(told: Told) -> str:
    return "" if told.fidelity is None else f"{told.fidelity[0]}/{told.fidelity[1]}"


def _short(site: str) -> str:
    return site.rpartition("/")[2]


def _plain(told: Told) -> dict[str, object]:
    stranger = told.stranger
    return {
        "id": stranger.id,
        "service": stranger.service,
        "habit": stranger.habit,
        "hangs": stranger.hangs,
        "expected": [stranger.cause, stranger.mechanism, _short(stranger.site.resolve())],
        "told": [told.cause, told.mechanism, told.site],
        "sentence": told.sentence,
        "problems": list(told.problems),
        "seconds": told.right_after_s and round(told.right_after_s, 1),
        "victims": told.victims,
        "fidelity": told.fidelity,
        "ended_spans_of_them": told.finished,
    }
