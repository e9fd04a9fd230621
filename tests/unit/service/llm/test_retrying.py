from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime

import groq
import httpx
import pytest

from service.infrastructure.llm.retrying import attempts, retry_after_s, retryable

REQUEST = httpx.Request("POST", "http://groq")


def status_error(status: int, retry_after: str | None = None) -> groq.APIStatusError:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    response = httpx.Response(status, headers=headers, request=REQUEST)
    kind = groq.RateLimitError if status == 429 else groq.APIStatusError
    return kind("told to", response=response, body=None)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (status_error(429), True),
        (status_error(408), True),
        (status_error(500), True),
        (status_error(503), True),
        (status_error(529), True),
        (status_error(400), False),
        (status_error(401), False),
        (status_error(403), False),
        (status_error(404), False),
        (status_error(413), False),
        (status_error(422), False),
        (groq.APIConnectionError(request=REQUEST), True),
        (groq.APITimeoutError(REQUEST), True),
        (TimeoutError(), True),
        (ValueError(), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error, again):
    assert retryable(error) is again


NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("2", 2.0),
        ("0.25", 0.25),
        (" 600 ", 600.0),
        (format_datetime(NOW.replace(minute=1), usegmt=True), 60.0),
        (format_datetime(NOW.replace(hour=11), usegmt=True), 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("nan", 0.0),
        ("inf", 86_400.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_fractions_or_a_date(header, seconds):
    assert retry_after_s(status_error(429, header), now=NOW.timestamp) == seconds


async def pauses_of(error: Exception, *, most: int = 4, budget_s: float | None = None):
    pauses: list[float] = []
    retrying = attempts(
        most=most,
        time_scale=0.001,
        budget_s=budget_s,
        before_pause=lambda state: pauses.append(state.upcoming_sleep),
    )

    async def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        await retrying(fail)
    return pauses


async def test_pauses_are_two_four_and_eight_seconds_with_up_to_one_of_jitter():
    pauses = await pauses_of(status_error(500))

    assert len(pauses) == 3
    for pause_s, least_s in zip(pauses, (0.002, 0.004, 0.008), strict=True):
        assert least_s <= pause_s <= least_s + 0.001
    assert pauses != await pauses_of(status_error(500))


async def test_retry_after_makes_a_pause_longer_and_never_shorter():
    assert min(await pauses_of(status_error(429, "0"))) >= 0.002
    assert await pauses_of(status_error(429, "0.05"), most=2) == [0.05]


@pytest.mark.parametrize("retry_after", ["600", "inf"])
async def test_a_pause_that_outlasts_the_budget_is_not_begun(retry_after):
    started_s = time.monotonic()

    assert await pauses_of(status_error(429, retry_after), budget_s=0.5) == []
    assert time.monotonic() - started_s < 0.2


async def test_what_can_not_pass_is_not_tried_again():
    assert await pauses_of(status_error(401)) == []
