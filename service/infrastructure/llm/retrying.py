"""Which failures of a provider are worth another attempt, and when.

Pauses of 2, 4 and 8 s with up to a second of jitter, so that callers who failed together don't
return together. Retry-After (RFC 9110, section 10.2.3) makes a pause longer, never shorter: `0`
from an overloaded provider must not become a storm. It is the provider's time, hence never scaled.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

import groq
from pydantic import ValidationError
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential_jitter,
)

FIRST_PAUSE_S: Final = 2.0
JITTER_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""Of our own; a Retry-After may ask for more."""
LONGEST_ASKED_S: Final = 86_400.0


def retryable(error: BaseException) -> bool:
    """Return whether the same call may fare better soon: no connection, no time, 408, 429, 5xx."""
    if isinstance(error, groq.APIStatusError):
        return error.status_code in (408, 429) or error.status_code >= 500
    return isinstance(error, (groq.APIConnectionError, TimeoutError))


def failure_of_provider(error: Exception) -> bool:
    """Return whether the breaker counts it: what may be retried, and answers that are garbage.

    A refusal (400, 401) is the provider at work.
    """
    return retryable(error) or isinstance(error, ValidationError)


def retry_after_s(error: BaseException | None, now: Callable[[], float] = time.time) -> float:
    """Return for how long a provider asked to stay away, 0 to 86,400 s; 0 if it did not say.

    Seconds, fractions of them, and HTTP dates are read, and anything else is as good as nothing.
    """
    if not isinstance(error, groq.APIStatusError):
        return 0.0
    asked = error.response.headers.get("retry-after", "").strip()
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - now()
        except (ValueError, OverflowError):
            return 0.0
    return 0.0 if math.isnan(seconds) else min(max(0.0, seconds), LONGEST_ASKED_S)


def attempts(
    *,
    most: int,
    time_scale: float,
    budget_s: float | None,
    before_pause: Callable[[RetryCallState], None],
) -> AsyncRetrying:
    """Return a loop of attempts that ends with the last attempt's own error.

    It gives up at once, rather than wait, where a pause would outlast `budget_s`.
    """
    backoff = wait_exponential_jitter(
        multiplier=FIRST_PAUSE_S * time_scale,
        max=LONGEST_PAUSE_S * time_scale,
        jitter=JITTER_S * time_scale,
    )

    def pause_s(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return max(backoff(state), retry_after_s(error))

    stop = stop_after_attempt(most)
    return AsyncRetrying(
        stop=stop if budget_s is None else stop | stop_before_delay(budget_s),
        wait=pause_s,
        retry=retry_if_exception(retryable),
        before_sleep=before_pause,
        reraise=True,
    )
