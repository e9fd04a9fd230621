"""The oracle of `make bench-alerts` sees a loss, a duplicate and a wrong order."""

from __future__ import annotations

import json

import pytest

from bench.alerts.kills import miscounted
from bench.alerts.latency import waits
from bench.alerts.limits import faults
from bench.alerts.obligations import Told, judge, tellings_of
from bench.alerts.processes import dead_in, told_in
from bench.alerts.real import fingerprint_of

FIRES, OVER = ("a", "firing"), ("a", "resolved")


def test_a_room_in_which_everything_was_told_once_is_right():
    told = [Told("1", [FIRES, ("b", "firing")]), Told("2", [OVER])]

    judgement = judge({"a": ["firing", "resolved"], "b": ["firing"]}, told)

    assert (judgement.owed, judgement.lost, judgement.repeated) == (2, [], 0)
    assert (judgement.twice, judgement.disordered) == ([], [])


def test_an_alert_that_is_over_may_be_told_as_that_alone():
    assert judge({"a": ["firing", "resolved"]}, [Told("1", [OVER])]).lost == []


def test_an_alert_that_is_nowhere_is_lost():
    assert judge({"a": ["firing"], "b": ["firing"]}, [Told("1", [FIRES])]).lost == [("b", "firing")]


def test_an_end_that_nobody_was_told_is_lost():
    assert judge({"a": ["firing", "resolved"]}, [Told("1", [FIRES])]).lost == [OVER]


def test_what_is_dead_with_a_reason_is_not_lost():
    log = [
        {"request_id": "1", "state": state, "reason": reason, "alerts": [
            {"fingerprint": fingerprint, "status": "firing"}]}
        for fingerprint, state, reason in (("a", "dead", "400"), ("b", "dead", ""),
                                           ("c", "waiting", "500"))
    ]  # fmt: skip
    owed = {"a": ["firing"], "b": ["firing"], "c": ["firing"]}

    assert judge(owed, [], dead_in(log)).lost == [("b", "firing"), ("c", "firing")]


def test_a_message_that_is_there_twice_is_a_duplicate():
    judgement = judge({"a": ["firing"]}, [Told("1", [FIRES])] * 3)

    assert (judgement.repeated, judgement.twice) == (2, [])


def test_two_messages_that_tell_the_same_are_seen():
    assert judge({"a": ["firing"]}, [Told("1", [FIRES]), Told("2", [FIRES])]).twice == [FIRES]


def test_a_begin_after_its_end_is_a_wrong_order():
    acknowledged = {"a": ["firing", "resolved"]}

    assert judge(acknowledged, [Told("1", [OVER]), Told("2", [FIRES])]).disordered == ["a"]
    assert judge(acknowledged, [Told("1", [FIRES]), Told("2", [OVER])]).disordered == []


def card(*lines: tuple[str, str]) -> dict:
    widgets = [{"decoratedText": {"topLabel": label, "text": text}} for label, text in lines]
    return {"text": "P0", "cardsV2": [{"card": {"sections": [{"widgets": widgets}]}}]}


def test_fingerprints_are_read_where_they_are_named_and_nowhere_else():
    message = card(("2 firing", "a b"), ("1 resolved", "c"), ("7 firing · firing", "d"), ("x", "e"))

    assert tellings_of(message) == [("a", "firing"), ("b", "firing"), ("c", "resolved")]


def test_of_a_digest_the_log_says_what_it_tells():
    digest = {"requestId": "1", "name": "m", "text": "P2 digest: 2 alerts in the last hour"}
    alerts = [{"fingerprint": name, "status": "firing"} for name in ("a", "b")]
    log = [{"request_id": "1", "state": "delivered", "reason": "", "alerts": alerts}]

    told = told_in([digest], log)

    assert told == [Told("1", [("a", "firing"), ("b", "firing")])]
    assert miscounted([digest], told) == 0
    assert miscounted([digest], [Told("1", [("a", "firing")])]) == 1


def test_who_was_never_told_waited_for_ever():
    message = {**card(("1 firing", "a")), "at": 103.0}

    assert waits({"a": 100.0, "b": 100.0}, [message, {**message, "at": 200.0}]) == [
        3.0, float("inf"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        (card(("1 firing", "a")), set()),
        ({"text": "<users/all> P0 a"}, set()),
        ({"text": "P0 <users/all>"}, {"mention", "markup"}),
        ({"text": "P0 *a*"}, {"markup"}),
        (card(("a", "<b>x</b>")), {"markup"}),
        (card(("a", "https://evil.example")), {"link"}),
        (card(("a", "\u202ex")), {"unseen"}),
        (card(*[("a", "b")] * 101), {"widgets"}),
        (card(("a", "x" * 32_000)), {"bytes"}),
        ({"text": "", "cardsV2": [{"card": {"sections": [{"widgets": [{"url": "https://e/"}]}]}}]},
         {"link"}),
    ],
)  # fmt: skip
def test_what_no_message_may_be_is_seen(message, wrong):
    assert set(faults(json.dumps(message, ensure_ascii=False))) == wrong


def test_an_alertmanagers_fingerprint_depends_on_every_label():
    # Nothing hashed is the offset of FNV-1a; `make bench-alerts` asks a real one.
    assert fingerprint_of({}) == "cbf29ce484222325"
    told = [{"a": "b"}, {"a": "c"}, {"b": "b"}, {"a": "b", "c": "d"}, {"a": "b", "cd": ""}]
    assert len({fingerprint_of(labels) for labels in told}) == len(told)
