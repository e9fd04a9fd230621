"""LLM calls: what became of each, its attempts, its pauses, and what it cost.

Prompts and completions are never read: of attributes only those that are named here and in
llm_spans.py.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from why504 import names
from why504.diagnose.endings import end_of
from why504.diagnose.llm_spans import Told, calls_told
from why504.diagnose.peers import TOO_MANY_REQUESTS, address_of, failed, peer_named, status_of
from why504.model import Attributes, Evidence, Span, Wait

ANSWERED: Final = "answered"
REFUSED: Final = "refused"
GIVEN_UP: Final = "given_up"
FAILED: Final = "failed"
NOT_SENT: Final = "not_sent"
OPEN: Final = "open"
OUTCOMES: Final = (ANSWERED, REFUSED, GIVEN_UP, FAILED, NOT_SENT, OPEN)
"""Answered; last refused with 429; given up by the caller, by a limit or a cancellation; failed
otherwise; not sent, because a circuit breaker was open; still open."""

_BREAKER: Final = re.compile(r"breaker|circuit", re.IGNORECASE)
_GIVEN_UP: Final = re.compile(r"time.?out|deadline|cancel", re.IGNORECASE)
_ERROR: Final = 400
_INPUT: Final = (names.GEN_AI_INPUT_TOKENS, "gen_ai.usage.prompt_tokens")
_OUTPUT: Final = (names.GEN_AI_OUTPUT_TOKENS, "gen_ai.usage.completion_tokens")
_FIRST: Final = (names.GEN_AI_FIRST_CHUNK_S, "gen_ai.server.time_to_first_token")
_BACKOFF: Final = names.backoff("")
_MOST: Final = 10**12
"""A number that is greater is no number of tokens or seconds."""
_LONGEST: Final = 80
"""Characters of a text that are kept: they only name things."""


class Pause(NamedTuple):
    """The time between an attempt that failed and the next one."""

    trace_id: str
    start_ns: int
    end_ns: int
    asked_s: float | None
    """What the peer asked to wait; None where it did not, or nobody told."""
    status: int | None
    """Of the attempt before it."""
    retried: bool
    """False where no other attempt was seen."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model, attempts and pauses included."""

    trace_id: str
    provider: str
    """`groq`, else the host that was called; empty where neither is told. A stranger's text."""
    model: str
    """The same, empty where it is not told."""
    route: str
    """Whose call it was: the request's route, else the name of the outermost span that is known."""
    start_ns: int
    end_ns: int
    """Of what is open, when it was last known to be."""
    outcome: str
    """One of `OUTCOMES`."""
    reason: str
    """HTTP status or `error.type`; empty for what was answered or is open."""
    attempts: int
    refused: int
    """Attempts that were answered 429."""
    retries: int
    """Attempts after one that failed."""
    pauses: tuple[Pause, ...]
    fallback: bool
    bounded: bool | None
    """Whether its client had a limit; None where nobody told."""
    input_tokens: float | None
    output_tokens: float | None
    first_s: float | None
    """Seconds to the first piece of the answer; None where it was not streamed, or not told."""


def calls_of(evidence: Evidence) -> list[Call]:
    """Return the calls, in no order."""
    judging = _Judging(evidence)
    return [judging.call(told) for told in calls_told(evidence)]


class _Judging:
    """Says what became of calls."""

    def __init__(self, evidence: Evidence) -> None:
        self._heard_ns = evidence.heard_ns

    def call(self, told: Told) -> Call:
        attempts = sorted(told.attempts, key=lambda span: span.start_ns)
        whole = [*([told.span] if told.span else ()), *attempts, *told.inner]
        pauses, pausing = self._pauses(told, attempts)
        last = told.span or attempts[-1]
        end_ns = max(self._end(last), pauses[-1].end_ns if pauses and not told.span else 0)
        went = (OPEN, "") if last.end_ns is None or pausing else _outcome(told.span, attempts)
        outcome, reason = went
        return Call(
            trace_id=last.trace_id,
            provider=_first([_provider(span.attributes) for span in whole]),
            model=_first([_text(span.attributes, names.GEN_AI_MODEL) for span in whole]),
            route=told.route,
            start_ns=whole[0].start_ns,
            end_ns=max(whole[0].start_ns, end_ns),
            outcome=outcome,
            reason=reason,
            attempts=len(attempts) or int(outcome != NOT_SENT),
            refused=sum(_is_refused(one) for one in attempts or [last]),
            retries=sum(failed(before) for before, _ in pairwise(attempts)),
            pauses=tuple(pauses),
            fallback=told.span is not None and _fell_back(told.span),
            bounded=_is_bounded(whole, attempts),
            input_tokens=_summed(told, _INPUT),
            output_tokens=_summed(told, _OUTPUT),
            first_s=next((s for span in whole if (s := _number(span.attributes, _FIRST))), None),
        )

    def _pauses(self, told: Told, attempts: Sequence[Span]) -> tuple[list[Pause], bool]:
        """Return the pauses in order, and whether the call is in the last of them now."""
        pauses = [
            _pause_after(before, self._end(before), then.start_ns, retried=True)
            for before, then in pairwise(attempts)
            if failed(before) and self._end(before) <= then.start_ns
        ]
        last = attempts[-1] if attempts else None
        around = told.span or told.around
        if last is None or last.end_ns is None or not _is_refused(last) or around is None:
            return pauses, False
        if around.service == names.GATEWAY_SERVICE:
            return pauses, False
        # After a refusal it pauses, as long as whoever wants the answer goes on (activities.py).
        if told.span is None or around.end_ns is None:
            until_ns = max(last.end_ns, self._end(around))
            pauses.append(_pause_after(last, last.end_ns, until_ns, retried=False))
        return pauses, around.end_ns is None

    def _end(self, span: Span) -> int:
        return end_of(span, self._heard_ns)


def _pause_after(attempt: Span, start_ns: int, end_ns: int, *, retried: bool) -> Pause:
    asked_s = _number(attempt.attributes, (names.RETRY_AFTER_S,))
    status = status_of(attempt.attributes)
    return Pause(attempt.trace_id, start_ns, end_ns, asked_s, status, retried)


def _outcome(span: Span | None, attempts: Sequence[Span]) -> tuple[str, str]:
    """Return what became of a call that ended, and the status or error that tells."""
    tellers = [*attempts[-1:], *([span] if span else ())]
    status = next((s for one in tellers if (s := status_of(one.attributes)) is not None), 0)
    if span is not None:
        well = span.status != "error" and not _fell_back(span)
    else:
        well = status < _ERROR and not failed(attempts[-1])
    if well:
        return ANSWERED, ""
    error = _first([_text(one.attributes, names.ERROR_TYPE) for one in reversed(tellers)])
    if _BREAKER.search(error):
        return NOT_SENT, error
    if status >= _ERROR:
        return REFUSED if status == TOO_MANY_REQUESTS else FAILED, str(status)
    return GIVEN_UP if _GIVEN_UP.search(error) else FAILED, error or "error"


def _fell_back(span: Span) -> bool:
    return span.attributes.get(names.LLM_FALLBACK) is True


def _is_refused(span: Span) -> bool:
    return status_of(span.attributes) == TOO_MANY_REQUESTS


def _is_bounded(whole: Sequence[Span], attempts: Sequence[Span]) -> bool | None:
    """Return whether every attempt had a limit; only the probe tells, and it names its thread."""
    told = [one for one in attempts if names.THREAD_ID in one.attributes] or whole
    limits = [names.CLIENT_TIMEOUT_S in one.attributes for one in told]
    return all(limits) if any(limits) or told is not whole else None


def _summed(told: Told, wanted: tuple[str, ...]) -> float | None:
    """Return what the call's own span tells, else what those inside of it do together."""
    own = _number(told.span.attributes, wanted) if told.span else None
    inner = [n for span in told.inner if (n := _number(span.attributes, wanted)) is not None]
    return own if own is not None or not inner else math.fsum(inner)


def _provider(attributes: Attributes) -> str:
    named = _text(attributes, names.GEN_AI_PROVIDER) or _text(attributes, "gen_ai.system")
    return named or address_of(attributes)[:_LONGEST]


def _number(attributes: Attributes, wanted: tuple[str, ...]) -> float | None:
    for name in wanted:
        told = attributes.get(name)
        if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told <= _MOST:
            return float(told)
    return None


def _text(attributes: Attributes, name: str) -> str:
    told = attributes.get(name)
    return told[:_LONGEST] if isinstance(told, str) else ""


def _first(texts: Sequence[str]) -> str:
    return next(filter(None, texts), "")


def pauses_told(evidence: Evidence, calls: Sequence[Call]) -> list[tuple[str, Pause]]:
    """Return the pauses that a probe told and that are not already in a call, each with its peer.

    They are waits for `backoff:<peer>`, of clients whose attempts may not be told.
    """
    waits = [wait for wait in evidence.waits if wait.resource.startswith(_BACKOFF)]
    known: dict[str, list[Pause]] = defaultdict(list)
    for call in calls if waits else ():
        known[call.trace_id] += call.pauses
    covered = {trace_id: _Covered(pauses) for trace_id, pauses in known.items()}
    found = []
    for wait in waits:
        peer = wait.resource.removeprefix(_BACKOFF)
        pause = _pause_of(wait, end_of(wait, evidence.heard_ns))
        inside = covered.get(wait.trace_id)
        if peer_named(peer) == "llm" and not (inside and inside.has(pause)):
            found.append((peer, pause))
    return found


def _pause_of(wait: Wait, end_ns: int) -> Pause:
    status = wait.attributes.get(names.BACKOFF_STATUS)
    asked_s = _number(wait.attributes, (names.RETRY_AFTER_S,))
    known = status if isinstance(status, int) else None
    retried = wait.end_ns is not None and wait.outcome != "cancelled"
    return Pause(wait.trace_id, wait.start_ns, end_ns, asked_s, known, retried)


class _Covered:
    """When pauses were, to be asked for a moment."""

    def __init__(self, pauses: Sequence[Pause]) -> None:
        rows = sorted((pause.start_ns, pause.end_ns) for pause in pauses)
        self._starts = [start_ns for start_ns, _ in rows]
        self._ends = list(accumulate((end_ns for _, end_ns in rows), max))

    def has(self, pause: Pause) -> bool:
        """Return whether the middle of another pause is in one of them."""
        middle_ns = (pause.start_ns + pause.end_ns) // 2
        place = bisect_right(self._starts, middle_ns)
        return place > 0 and self._ends[place - 1] >= middle_ns
