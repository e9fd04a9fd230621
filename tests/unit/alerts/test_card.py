"""Cards: within the limits of Google Chat for any input, and nothing in a label does anything."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from alerts_by_hand import PLACE, alert, at
from hypothesis import given, settings
from hypothesis import strategies as st

from why504.alerts.alert import Level
from why504.alerts.cards.card import bare, message, without_card
from why504.alerts.cards.frame import Place
from why504.alerts.cards.marks import MOST_ALERTS
from why504.alerts.cards.widgets import MESSAGE_BYTES, WIDGETS
from why504.alerts.kept.message import Change, Frozen, Unsent

HOSTILE = st.text(max_size=400) | st.sampled_from([
    "<users/all>", "<https://evil.example|Open runbook>", '<a href="https://evil.example">x</a>',
    "*bold* _it_ `code` @all", "\u202egnorw", "\x00\x1b[31m", '"}]}}]', "https://evil.example/x",
    "&lt;users/all&gt;", "🦀" * 400, "\ud800", "<b>" * 200,
])  # fmt: skip


def unsent(
    number: int, one, *, told: int = 0, live: bool = True, woken: bool = False, incident: str = ""
) -> Unsent:
    return Unsent(
        Change(number, one, at(1)), one.level, incident or f"i-{one.service}", one.service, at(0),
        one.level, told, woken, live,
    )  # fmt: skip


def body_of(*told: Unsent, place: Place = PLACE) -> dict:
    return json.loads(message(told, place).body)


def strings(document) -> list[str]:
    if isinstance(document, dict):
        return [text for value in document.values() for text in strings(value)]
    if isinstance(document, list):
        return [text for value in document for text in strings(value)]
    return [document] if isinstance(document, str) else []


def harmless(document: dict) -> None:
    text = document["text"].removeprefix("<users/all> ")
    assert not re.search(r"[<>|*_~`@]", text)
    for card in document["cardsV2"]:
        for told in strings(card):
            assert "<" not in told
            assert not re.search(r"https?://(?!runbooks\.example\.com)", told)
            assert not re.search(r"[\x00-\x1f\u202a-\u202e\u2066-\u2069]", told)


@given(
    st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE, HOSTILE), min_size=1, max_size=60),
    st.sampled_from([1, 20, MOST_ALERTS]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_labels_say_the_message_is_within_limits_and_harmless(pieces, times):
    told = []
    pieces = (pieces * times)[:MOST_ALERTS]
    for number, (name, service, summary, route) in enumerate(pieces):
        labels = {"alertname": name, "service_name": service, "http_route": route}
        notes = {"summary": summary, "description": route * 20, "runbook_url": summary,
                 "dashboard_url": name}  # fmt: skip
        one = alert(labels=labels, annotations=notes, start_s=number)
        one = replace(one, fingerprint=f"{number:016x}")
        told.append(unsent(number, one, incident=f"i-{number % len(pieces[0][0] or '1')}"))
    body = message(told, PLACE).body

    assert len(body.encode()) <= MESSAGE_BYTES
    document = json.loads(body)
    widgets = [w for c in document["cardsV2"] for s in c["card"]["sections"] for w in s["widgets"]]
    assert len(widgets) <= WIDGETS
    assert all(f"{number:016x}" in body for number in range(len(pieces)))
    harmless(document)


def test_a_card_names_each_alert_by_its_fingerprint_and_says_what_is_over():
    alerts = [alert(f"A{n}", end_s=9 if n % 3 == 0 else None) for n in range(250)]
    document = body_of(*(unsent(n, one) for n, one in enumerate(alerts)))

    lines = [w["decoratedText"] for w in document["cardsV2"][0]["card"]["sections"][1]["widgets"]]

    assert [line["topLabel"] for line in lines] == ["100 firing", "66 firing", "84 resolved"]
    named = [mark for line in lines for mark in line["text"].split()]
    assert sorted(named) == sorted(one.fingerprint for one in alerts)


def test_a_message_without_a_card_names_its_alerts_too():
    alerts = [replace(alert(f"A{n}"), fingerprint=f"{n:016x}") for n in range(MOST_ALERTS)]
    batch = message([unsent(n, one) for n, one in enumerate(alerts)], PLACE)
    frozen = Frozen(1, batch.request_id, batch.body, batch.level, 1)

    plain = without_card(frozen, alerts)
    marks = bare([unsent(n, one) for n, one in enumerate(alerts)]).body

    for body in (plain, marks):
        assert all(one.fingerprint in body for one in alerts)
        assert len(body.encode()) <= MESSAGE_BYTES
    assert without_card(replace(frozen, body=plain), alerts) is None


def test_a_card_says_what_since_when_on_which_route_and_where_to_read_on():
    one = alert(
        labels={"http_route": "/v1/conversations/end"},
        annotations={
            "summary": "37 % of requests time out",
            "description": "97 wait for a connection",
            "runbook_url": "https://runbooks.example.com/Gateway504Ratio",
        },
    )
    place = Place(
        alertmanager_url="https://alerts.example.com",
        link_hosts=frozenset({"runbooks.example.com", "alerts.example.com"}),
    )

    document = body_of(unsent(1, one), place=place)

    said = json.dumps(document, ensure_ascii=False)
    for part in ("37 % of requests time out", "97 wait for a connection", "/v1/conversations/end",
                 "2026-11-18 11:06:40 UTC"):  # fmt: skip
        assert part in said
    (buttons,) = [w["buttonList"]["buttons"] for w in widgets_of(document) if "buttonList" in w]
    assert [button["text"] for button in buttons] == ["Runbook", "Silence"]
    assert "alertname%3D%22Gateway504Ratio%22" in buttons[1]["onClick"]["openLink"]["url"]


def test_paths_of_rules_lead_to_our_runbooks_and_to_their_grafana():
    paths = {"runbook_url": "/runbooks/Gateway504Ratio", "dashboard_url": "/d/why504-service"}
    one = alert(annotations=paths)
    place = Place(
        public_url="https://why504.example.com/",
        grafana_url="https://grafana.example.com",
        link_hosts=frozenset({"why504.example.com", "grafana.example.com"}),
    )

    assert buttons_of(unsent(1, one), place) == {
        "Dashboard": "https://grafana.example.com/d/why504-service",
        "Runbook": "https://why504.example.com/runbooks/Gateway504Ratio",
    }


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "/x@evil.example", "/ x"])
def test_a_path_never_leads_to_another_host(path):
    place = Place(
        public_url="https://why504.example.com", link_hosts=frozenset({"why504.example.com"})
    )

    for url in buttons_of(unsent(1, alert(annotations={"runbook_url": path})), place).values():
        assert urlsplit(url).hostname == "why504.example.com"


def buttons_of(told: Unsent, place: Place) -> dict[str, str]:
    lists = [w["buttonList"]["buttons"] for w in widgets_of(body_of(told, place=place))
             if "buttonList" in w]  # fmt: skip
    return {b["text"]: b["onClick"]["openLink"]["url"] for many in lists for b in many}


def widgets_of(document: dict) -> list[dict]:
    return document["cardsV2"][0]["card"]["sections"][0]["widgets"]


@pytest.mark.parametrize(
    "url",
    ["http://runbooks.example.com/x", "javascript:alert(1)", "https://evil.example/x",
     "https://runbooks.example.com@evil.example/", "https://runbooks.example.com/\u202ex", "https://["],
)  # fmt: skip
def test_a_button_leads_only_where_it_may(url):
    document = body_of(unsent(1, alert(annotations={"runbook_url": url})))

    assert "buttonList" not in json.dumps(document)


def test_on_the_readers_own_machine_a_button_needs_no_tls():
    place = Place(explorer_url="http://localhost:8501", link_hosts=frozenset({"localhost"}))
    elsewhere = Place(explorer_url="http://10.0.0.1:8501", link_hosts=frozenset({"10.0.0.1"}))

    assert "http://localhost:8501" in buttons_of(unsent(1, alert()), place).values()
    assert buttons_of(unsent(1, alert()), elsewhere) == {}


def test_only_the_first_message_of_a_p0_mentions_anybody():
    first = body_of(unsent(1, alert()))
    again = body_of(unsent(2, alert(), told=1, woken=True))
    over = body_of(unsent(3, alert(end_s=3), told=1, live=False))
    p1 = body_of(unsent(4, alert(severity="p1")))

    worse = body_of(unsent(5, alert(), told=1))

    said = ["<users/all>" in one["text"] for one in (first, again, over, p1, worse)]
    assert said == [True, False, False, False, True]
    # What has become urgent is not hidden in a thread.
    assert first["thread"] == again["thread"] != worse["thread"]


def test_a_card_can_be_vietnamese():
    document = body_of(unsent(1, alert(end_s=90), live=False), place=Place(language="vi"))

    assert "đã hết" in document["text"]
    assert "Kéo dài" in json.dumps(document, ensure_ascii=False)


def test_the_same_changes_make_the_same_message():
    told = [unsent(1, alert()), unsent(2, alert("Other"))]

    assert message(told, PLACE) == message(told, PLACE)
    assert message(told, PLACE).request_id != message(told[:1], PLACE).request_id
    assert message(told, PLACE).level is Level.P0
