"""Tables of the page about LLMs: column name -> cells, ready for `st.dataframe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Final

from dashboards.draw.text import duration, moment, plain
from dashboards.language import Said, Say
from dashboards.words import llm as words
from why504.diagnose.llm import LlmUse
from why504.diagnose.llm_calls import Call
from why504.diagnose.llm_counts import Figures, Group, Pauses

CELL: Final = 120
NOTHING: Final = "–"

Cells = dict[str, Sequence[str | int]]


def model_rows(groups: Sequence[Group], say: Say) -> Cells:
    """Return one row a model, in the order given."""
    names = {
        words.PROVIDER: [plain(one.provider, CELL) or NOTHING for one in groups],
        words.MODEL: [plain(one.model, CELL) or NOTHING for one in groups],
    }
    return _said(names, say) | _figures([one.figures for one in groups], say)


def route_rows(groups: Sequence[Group], say: Say) -> Cells:
    """Return one row a route, in the order given."""
    routes = {words.ROUTE: [plain(one.route, CELL) or NOTHING for one in groups]}
    return _said(routes, say) | _figures([one.figures for one in groups], say)


def _figures(figures: Sequence[Figures], say: Say) -> Cells:
    failed = ("refused", "given_up", "failed", "not_sent")
    cells: dict[Said, Sequence[str | int]] = {
        words.CALLS: [one.calls for one in figures],
        words.FAILED: [sum(one.outcomes[name] for name in failed) for one in figures],
        words.OPEN: [one.outcomes["open"] for one in figures],
        words.REFUSED: [one.refused for one in figures],
        words.RETRIES: [one.retries for one in figures],
        words.FALLBACKS: [one.fallbacks for one in figures],
        words.MEDIAN: [seconds(one.median_s) for one in figures],
        words.P99: [seconds(one.p99_s) for one in figures],
        words.INPUT_TOKENS: [tokens(one, one.input_tokens) for one in figures],
        words.OUTPUT_TOKENS: [tokens(one, one.output_tokens) for one in figures],
    }
    return _said(cells, say)


def reason_rows(use: LlmUse, say: Say) -> Cells:
    """Return one row a reason, most calls first."""
    cells: dict[Said, Sequence[str | int]] = {
        words.REASON: [plain(reason, CELL) for reason, _ in use.reasons],
        words.CALLS: [number for _, number in use.reasons],
    }
    return _said(cells, say)


def pause_rows(pauses: Sequence[Pauses], say: Say) -> Cells:
    """Return one row a model at which attempts were repeated, or should have been."""
    cells: dict[Said, Sequence[str | int]] = {
        words.PROVIDER: [plain(one.provider, CELL) or NOTHING for one in pauses],
        words.MODEL: [plain(one.model, CELL) or NOTHING for one in pauses],
        words.PAUSES_N: [one.pauses for one in pauses],
        words.AFTER_429: [one.refused for one in pauses],
        words.ASKED: [seconds(one.asked_s) for one in pauses],
        words.WAITED: [seconds(one.waited_s) for one in pauses],
        words.ASKED_MOST: [seconds(one.asked_most_s) for one in pauses],
        words.WAITED_MOST: [seconds(one.waited_most_s) for one in pauses],
        words.EARLY: [one.early for one in pauses],
        words.NOT_RETRIED: [one.not_retried for one in pauses],
    }
    return _said(cells, say)


def call_rows(calls: Sequence[Call], say: Say, zone: tzinfo = UTC) -> Cells:
    """Return one row a call, in the order given."""
    cells: dict[Said, Sequence[str | int]] = {
        words.BEGAN_AT: [moment(one.start_ns, zone) for one in calls],
        words.TOOK: [took(one) for one in calls],
        words.OUTCOME: [outcome(one, say) for one in calls],
        words.ROUTE: [plain(one.route, CELL) or NOTHING for one in calls],
        words.MODEL: [plain(f"{one.provider} {one.model}", CELL) or NOTHING for one in calls],
        words.ATTEMPTS: [one.attempts for one in calls],
        words.TRACE: [plain(one.trace_id, 40) for one in calls],
    }
    return _said(cells, say)


def call_name(call: Call, say: Say, zone: tzinfo = UTC) -> str:
    """Return what tells one call from the others in a list to choose from."""
    when = moment(call.start_ns, zone, date=False)
    return f"{when}  {took(call)}  {plain(call.route, 60)}  {outcome(call, say)}"


def took(call: Call) -> str:
    """Return how long a call took, or is open by now."""
    return duration((call.end_ns - call.start_ns) / 1e9)


def outcome(call: Call, say: Say) -> str:
    """Return what became of a call, with what told it."""
    said = say(words.OUTCOMES[call.outcome])
    return said if call.reason in ("", "429") else f"{said} ({plain(call.reason, 40)})"


def seconds(told: float | None) -> str:
    """Return a duration, or a dash where it is not known."""
    return NOTHING if told is None else duration(told)


def tokens(figures: Figures, number: int) -> str:
    """Return a number of tokens, or a dash where no call told any."""
    return f"{number:,}" if figures.tokens_told else NOTHING


def _said(cells: Mapping[Said, Sequence[str | int]], say: Say) -> Cells:
    return {say(name): column for name, column in cells.items()}
