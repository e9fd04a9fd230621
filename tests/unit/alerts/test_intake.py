"""What Alertmanager and services send is read as they mean it; one broken alert costs no other."""

from __future__ import annotations

import re

import pytest
from alerts_by_hand import T0, S

from why504.alerts.alert import Level
from why504.alerts.intake import from_api, from_webhook
from why504.errors import AlertRejected

NOW_NS = T0 + 100 * S


def told(**more):
    return {
        "status": "firing",
        "labels": {"alertname": "A", "severity": "p0", "service_name": "shop"},
        "annotations": {"summary": "it burns"},
        "startsAt": "2026-11-18T14:13:20.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "00f1a2b3c4d5e6f7",
        **more,
    }


def test_a_webhook_of_alertmanager_is_read():
    (alert,) = from_webhook({"version": "4", "alerts": [told()]}, NOW_NS).alerts

    assert (alert.name, alert.level, alert.service) == ("A", Level.P0, "shop")
    assert (alert.status, alert.starts_ns, alert.ends_ns) == (
        "firing", 1_795_011_200_123_456_000, None,
    )  # fmt: skip
    assert alert.identity == ("00f1a2b3c4d5e6f7", 1_795_011_200_123_456_000)


def test_the_end_of_an_alert_that_a_service_raises_tells_whether_it_is_over():
    labels = {"labels": {"alertname": "A"}}
    over, open_, later = from_api(
        [
            {**labels, "endsAt": "2020-01-01T00:00:00Z"},
            labels,
            {**labels, "endsAt": "2100-01-01T00:00:00+07:00"},
        ],
        NOW_NS,
    ).alerts

    assert (over.status, open_.status, later.status) == ("resolved", "firing", "firing")
    assert open_.starts_ns == 0
    assert open_.expires_ns == NOW_NS + 300 * S
    assert over.expires_ns is None
    assert open_.fingerprint == later.fingerprint != ""


@pytest.mark.parametrize(
    ("severity", "level"),
    [("P0", Level.P0), ("critical", Level.P0), ("warning", Level.P1), ("p2", Level.P2),
     ("none", Level.HEARTBEAT), ("", Level.P1), ("weird", Level.P1)],
)  # fmt: skip
def test_a_severity_that_nobody_knows_is_told_all_the_same(severity, level):
    labels = {"alertname": "A", "severity": severity}

    (alert,) = from_api([{"labels": labels}], NOW_NS).alerts

    assert alert.level is level


def test_one_alert_that_is_broken_costs_no_other():
    taken = from_webhook({"alerts": [told(), 5, {"labels": {}}, {"labels": [1]}, told()]}, NOW_NS)

    assert len(taken.alerts) == 2
    assert taken.unreadable == [
        "alert 1: it is no object",
        "alert 2: its labels have no `alertname`",
        "alert 3: its labels are no object",
    ]


@pytest.mark.parametrize("document", [None, [], {}, {"alerts": {}}, "x"])
def test_what_is_no_webhook_is_refused(document):
    with pytest.raises(AlertRejected, match="alerts"):
        from_webhook(document, NOW_NS)


def test_half_a_character_is_replaced():
    (alert,) = from_api([{"labels": {"alertname": "A", "service": "\ud800"}}], NOW_NS).alerts

    assert alert.service == "?"


def test_times_that_make_no_sense_are_not_told():
    (alert,) = from_api([{"labels": {"alertname": "A"}, "startsAt": "yesterday"}], NOW_NS).alerts

    assert alert.starts_ns == 0


@pytest.mark.parametrize("given", ["<users/all>", "f" * 17, "a b", "", None, 7, "\u0661"])
def test_a_fingerprint_that_is_none_is_made_from_the_labels(given):
    kept, made = from_webhook({"alerts": [told(), told(fingerprint=given)]}, NOW_NS).alerts

    assert kept.fingerprint == "00f1a2b3c4d5e6f7"
    assert re.fullmatch("[0-9a-f]{16}", made.fingerprint)
