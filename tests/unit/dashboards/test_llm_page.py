"""The page about LLM calls, on a store in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from evidence_by_hand import Scene, at
from streamlit.testing.v1 import AppTest

from dashboards.draw import llm as charts_of
from dashboards.draw.palette import DARK
from dashboards.language import VIETNAMESE, Say
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import Opened, charts, drawn, interpreted, query_of, texts
from why504 import names
from why504.diagnose.llm import llm_use
from why504.errors import StoreUnavailable
from why504.model import Evidence, Incident, Sample, Window

GROQ = {
    names.GEN_AI_OPERATION: "chat",
    names.GEN_AI_PROVIDER: "groq",
    names.GEN_AI_MODEL: "llama-3",
}
POST = {
    names.HTTP_METHOD: "POST",
    names.SERVER_ADDRESS: "api.groq.com",
    names.URL_PATH: "/openai/v1/chat/completions",
}
CONTENT = (
    "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages", "gen_ai.output.messages",
    "gen_ai.system_instructions", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result",
    "gen_ai.prompt.0.content", "gen_ai.completion.0.content", "langfuse.observation.input",
    "langfuse.observation.output", "langfuse.trace.input", "langfuse.trace.output",
    "input.value", "output.value", "llm.prompts", "llm.completions", "traceloop.entity.input",
    "db.query.text", "url.full", "url.query", "http.request.body", "exception.message",
)  # fmt: skip
"""Attributes that carry, or may carry, what people and models said."""


@dataclass
class Store(told.MemoryStore):
    """Has one evidence, whatever window is asked for."""

    told: Evidence | None = None

    def evidence(self, window: Window) -> Evidence:
        return replace(self.told, window=window) if self.told else Evidence(window)


def incident(start_s: float = 100, end_s: float = 160, **changes: Any) -> Incident:
    finding = told.finding(cause="B2", title="LLM refuses")
    known = {"id": "inc-llm", "window": Window(at(start_s), at(end_s)), "finding": finding}
    return told.pool_incident(**{**known, **changes})


def scene(**also: Any) -> Scene:
    """An answered call before the incident; in it a retried, a failed and an open one."""
    made = Scene(200)
    for who, start_s in (("calm", 50), ("again", 110), ("failed", 120), ("stuck", 130)):
        made.app(who, start_s - 1, start_s + 20, route=f"/{who}")
    chat(made, "calm", 50, 51, **{names.GEN_AI_INPUT_TOKENS: 1234, **also})
    chat(made, "again", 110, 119, **also)
    post(made, "again", 110, 111, 429, **{names.RETRY_AFTER_S: 5.0}, **also)
    post(made, "again", 113, 119, 200, **also)
    error = {names.ERROR_TYPE: "BreakerOpen", names.LLM_FALLBACK: True}
    chat(made, "failed", 120, 120.1, **error, **also)
    chat(made, "stuck", 130, None, **also)
    return made


def chat(made: Scene, who: str, start_s: float, end_s: float | None, **also: Any) -> None:
    made.span(who, "chat", "app", start_s, end_s, kind="client", name="chat", **{**GROQ, **also})


def post(made: Scene, who: str, start_s: float, end_s: float, status: int, **also: Any) -> None:
    attributes = {**POST, names.THREAD_ID: 7, names.HTTP_STATUS: status, **also}
    made.span(who, f"post{start_s}", "chat", start_s, end_s, kind="client", **attributes)
    if status >= 400:
        made.spans[-1] = replace(made.spans[-1], status="error")


def store(made: Scene | None = None, **changes: Any) -> Store:
    evidence = replace((made or scene()).evidence(), **changes)
    return Store(window=Window(at(0), at(200)), told=evidence)


def figures(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_the_latest_incident_is_counted_and_nothing_from_before_it(explorer: Opened):
    page = explorer("llm", store(), [incident()])

    shown = figures(page)
    assert (shown["Calls"], shown["Still open"], shown["Answered"]) == ("3", "1", "50 %")
    assert (shown["429 answers"], shown["Retries"], shown["Fallbacks"]) == ("1", "1", "1")
    assert (shown["Not sent"], shown["Without a limit"], shown["Tokens in"]) == ("1", "1 of 1", "–")
    assert all(metric.help for metric in page.metric)
    assert "B2" in page.selectbox[0].options[1]


def test_everything_that_is_stored_is_counted_if_the_address_says_so(explorer: Opened):
    page = explorer("llm", store(), [incident()], range="all")

    assert (figures(page)["Calls"], figures(page)["Tokens in"]) == ("4", "1,234")


def test_choosing_a_stretch_of_time_changes_the_address_and_the_figures(explorer: Opened):
    page = explorer("llm", store(), [incident()])

    page.selectbox[0].set_value(0).run()
    assert page.query_params["range"] in ("all", ["all"])
    assert figures(page)["Calls"] == "4"

    page.selectbox[0].set_value(1).run()
    assert page.query_params["incident"] in ("inc-llm", ["inc-llm"])
    assert figures(page)["Calls"] == "3"


def test_without_incidents_everything_is_shown(explorer: Opened):
    page = explorer("llm", store())

    assert figures(page)["Calls"] == "4"
    assert not page.info


def test_what_was_asked_to_wait_stands_beside_what_was_waited(explorer: Opened):
    page = explorer("llm", store(), [incident()])

    pauses = next(d.value for d in page.dataframe if "Came too early" in d.value)
    assert list(pauses["Asked (median)"]) == ["5.0 s"]
    assert list(pauses["Waited (median)"]) == ["2.0 s"]
    assert list(pauses["Came too early"]) == [1]


def test_slow_calls_lead_to_their_request_and_to_langfuse_by_the_trace_alone(
    explorer: Opened, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WHY504_LANGFUSE_URL", "https://langfuse.example/traces/{trace}")
    page = explorer("llm", store(), [incident()])

    trace = page.dataframe[-1].value["Trace"].iloc[0]
    assert query_of(page, "request") == [{"incident": "inc-llm", "trace": trace}]
    (link,) = page.get("link_button")
    assert link.proto.url == f"https://langfuse.example/traces/{trace}"


def test_without_langfuse_there_is_no_link_to_it(explorer: Opened):
    assert not explorer("llm", store(), [incident()]).get("link_button")


def test_an_incident_without_calls_says_what_would_tell_of_them(explorer: Opened):
    page = explorer("llm", store(), [incident(10, 20)])

    assert "No call of a language model" in page.info[0].value
    assert "gen_ai.*" in "".join(m.value for m in page.markdown)
    assert query_of(page, "") == [{"range": "all"}]
    assert not page.metric


@pytest.mark.parametrize("window", [None, Window(at(0), at(200))])
def test_an_empty_store_says_what_to_do(explorer: Opened, window: Window | None):
    page = explorer("llm", told.MemoryStore(window=window))

    assert page.info
    assert not page.metric


def test_without_a_store_the_page_says_how_to_name_one(
    explorer: Opened, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("WHY504_STORE")

    assert "WHY504_STORE" in explorer("llm", store()).info[0].value


def test_a_store_that_cant_be_read_is_told_without_interpreting_the_reason(explorer: Opened):
    class Broken(Store):
        def extent(self) -> Window | None:
            raise StoreUnavailable("disk **gone**")

    page = explorer("llm", Broken())

    assert "can't be read" in page.error[0].value
    assert "disk **gone**" in texts(page)
    assert "gone" not in "".join(interpreted(page))


@pytest.mark.parametrize("query", [{"incident": "gone"}, {"incident": "**x**", "range": "<b>"}])
def test_an_address_of_something_gone_says_so_and_shows_the_latest(explorer: Opened, query):
    page = explorer("llm", store(), [incident()], **query)

    assert "not in the store" in page.warning[0].value
    assert figures(page)["Calls"] == "3"


def test_of_a_sample_the_page_says_that_it_is_one(explorer: Opened):
    page = explorer("llm", store(sample=Sample({}, {}, 10**6)), [incident()])

    assert any("sample" in info.value for info in page.info)


def sent_to_the_browser(page: AppTest) -> str:
    """Return everything: text, tables, chart data, labels, addresses."""
    tables = "".join(d.value.to_csv() for d in page.dataframe)
    protos = "".join(str(getattr(element, "proto", "")) for element in page)
    return protos + tables + json.dumps(drawn(page), default=str) + json.dumps(charts(page))


def test_prompts_and_completions_reach_no_browser(explorer: Opened):
    page = explorer("llm", store(scene(**dict.fromkeys(CONTENT, "PLANTED SECRET"))), [incident()])

    assert figures(page)["Calls"] == "3"
    assert "PLANTED" not in sent_to_the_browser(page)
    assert "llama-3" in sent_to_the_browser(page)  # what is looked through is what is sent


PLANTED = (
    "<script>alert(1)</script>",
    "[x](javascript:alert(1)) :red[x] $x^2$ `code`",
    "\u202etxt.exe\u202c",
    "PLANTED" + "A" * 1_000_000,
)


@pytest.mark.parametrize("text", PLANTED, ids=range(len(PLANTED)))
def test_what_telemetry_says_is_never_interpreted_and_always_bounded(explorer: Opened, text: str):
    made = Scene(200)
    made.app("a", 100, 150, route=text)
    strange = {names.GEN_AI_PROVIDER: text, names.GEN_AI_MODEL: text, names.ERROR_TYPE: text}
    chat(made, "a", 110, 120, **strange)
    made.spans[-1] = replace(made.spans[-1], status="error")

    page = explorer("llm", store(made), [incident(finding=told.finding(cause=text))])

    mark = text.strip("\u202e\u202c")[:12]
    assert mark not in "\n".join(interpreted(page))
    assert mark in sent_to_the_browser(page)
    cells = [str(c) for d in page.dataframe for column in d.value for c in d.value[column]]
    assert max(map(len, cells)) <= 120
    everything = [*cells, *texts(page), *page.selectbox[0].options, *page.selectbox[1].options]
    assert not any("\u202e" in shown for shown in everything)
    assert max(len(str(row)) for rows in drawn(page) for row in rows) < 2_000


def test_thousands_of_models_stay_a_page(explorer: Opened):
    made = Scene(200)
    for n in range(2_000):
        chat(made, f"c{n}", 110, 120, **{names.GEN_AI_MODEL: f"m{n}"})

    page = explorer("llm", store(made), [incident()])

    assert figures(page)["Calls"] == "2,000"
    assert max(len(d.value) for d in page.dataframe) == 50
    assert max(len(rows) for rows in drawn(page)) <= 60


def test_each_outcome_that_there_was_has_a_row_with_its_number():
    bars, rows = charts_of.outcome_data(llm_use(scene().evidence()), Say())

    assert [row["text"].split(" · ")[:2] for row in rows] == [
        ["answered", "2"],
        ["not sent: breaker open", "1"],
        ["still open", "1"],
    ]
    assert all(bar["from"] < bar["to"] and bar["top"] < bar["y"] for bar in bars)


def test_charts_are_described_for_those_who_cant_see_them_in_their_language():
    use = llm_use(scene().evidence(), Window(at(100), at(160)))
    say = Say(VIETNAMESE)

    spec = charts_of.outcome_chart(use, say, DARK).to_dict()
    latency = charts_of.latency_chart(use.models, say, DARK)

    assert "được trả lời" in spec["description"]
    assert len(spec["layer"]) == 3
    assert latency is not None
    assert latency.to_dict()["description"].startswith("Mỗi mô hình")


def test_where_no_call_ended_no_times_are_drawn():
    made = Scene(10)
    chat(made, "a", 1, None)

    assert charts_of.latency_chart(llm_use(made.evidence()).models, Say(), DARK) is None


def test_a_sample_without_calls_does_not_pretend_that_there_were_none(explorer: Opened):
    page = explorer("llm", store(Scene(200), sample=Sample({}, {}, 10**6)), [incident()])

    assert any("sample is read" in info.value for info in page.info)
