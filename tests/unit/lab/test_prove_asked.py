from __future__ import annotations

from contextlib import ExitStack

import httpx
import pytest

from lab.prove import dashboards
from lab.prove.answered import ask, fired
from lab.prove.asked import Asked, asked, put_in
from lab.prove.run import Run
from lab.prove.verdict import Journal
from why504.errors import LabError

BOARD = {
    "uid": "some",
    "templating": {
        "list": [
            {"name": "shop", "type": "query", "query": {"query": "label_values(up{a='b'}, shop)"}},
            {"name": "url", "type": "query", "query": {"query": "query_result(x or vector(1))"}},
            {"name": "limit_s", "type": "textbox", "query": "60"},
        ]
    },
    "annotations": {"list": [{"name": "Alerts", "expr": 'ALERTS{shop="$shop"}'}]},
    "panels": [
        {"type": "row", "title": "A row"},
        {
            "title": "How many?",
            "targets": [
                {
                    "datasource": {"type": "prometheus"},
                    "expr": 'rate(x{shop=~"${shop:regex}"}[$__rate_interval]) > $limit_s',
                },
                {"datasource": {"type": "tempo"}, "query": '{ span.shop = "$shop" }'},
            ],
        },
    ],
}


def test_everything_that_a_dashboard_asks_is_asked_with_its_variables_put_in():
    told = [(one.where, one.source, one.text) for one in asked(BOARD, {"shop": "a", "url": ""})]

    assert told == [
        ("some: How many?", "prometheus", 'rate(x{shop=~"a"}[40s]) > 60'),
        ("some: How many?", "tempo", '{ span.shop = "a" }'),
        ("some: annotation Alerts", "prometheus", 'ALERTS{shop="a"}'),
        ("some: variable shop", "prometheus", "up{a='b'}"),
        ("some: variable url", "prometheus", "x or vector(1)"),
    ]


def test_a_variable_that_nobody_gave_is_no_empty_text():
    with pytest.raises(KeyError, match="shop"):
        put_in('x{shop="$shop"}', {})


class Told:
    """Answers each query with the values it names; refuses others."""

    def __init__(self, **values: list[str]) -> None:
        self._values = values

    def query_range(self, expression, start_s, end_s, step_s):
        if expression not in self._values:
            raise httpx.HTTPError("parse error")
        values = [[start_s, value] for value in self._values[expression]]
        return [{"metric": {"alertname": "A"}, "values": values}] if values else []


def question(text: str) -> Asked:
    return Asked("some", text, "prometheus", text, text)


def test_an_answer_without_a_number_is_none_and_0_is_one():
    prometheus = Told(zero=["0"], late=["NaN", "1"], nan=["NaN", "NaN"], nothing=[])
    texts = ("zero", "late", "nan", "nothing", "wrong")

    answers = ask(prometheus, [question(text) for text in texts], 0, 60)

    assert [one.text for one in answers.empty] == ["nan", "nothing"]
    assert answers.refused == {"some: wrong": "parse error"}
    assert (answers.number, answers.told) == (5, 2)


def test_an_alert_fired_when_it_was_seen_first():
    told = {'sum by (alertname) (ALERTS{alertstate="firing",severity=~"p0|p1|p2"})': ["1", "1"]}

    assert fired(Told(**told), 7.0, 60.0) == {"A": 7.0}


def run_of(folder, fault: str) -> Run:
    return Run(folder, Journal(), rehearsal=True, stack=ExitStack(), fault=fault)


def test_what_has_to_be_installed_is_said_before_anything_is_started(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(LabError, match=r"apt-get install prometheus; .*rabbitmq-server"):
        dashboards.prove(run_of(tmp_path, "F1"))
    assert [*tmp_path.iterdir()] == []


def test_the_control_is_no_fault_that_fires_an_alert(tmp_path):
    with pytest.raises(LabError, match="N0 is the control"):
        dashboards.prove(run_of(tmp_path, "N0"))
