"""The page about alerts, on a ledger that a router wrote."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboards.draw import chatcard, deliveries
from dashboards.draw.palette import DARK
from dashboards.language import VIETNAMESE, Say
from dashboards.runbooks import runbook_of
from tests.unit.alerts.alerts_by_hand import Router, alert, at
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import Opened, charts, drawn, interpreted, query_of, texts
from why504.alerts.alert import Level
from why504.alerts.kept.ledger import Ledger
from why504.alerts.kept.reading import Sent
from why504.alerts.rooms.finding import Finding
from why504.errors import ChatBusy, ChatRefused
from why504.stack import folder

ROOM = "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=KEY-SECRET&token=TOKEN-SECRET"


@pytest.fixture
def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Router]:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    made = Router(ledger)
    monkeypatch.setenv("WHY504_ALERTS_LEDGER", str(made.file))
    yield made
    made.ledger.close()


@pytest.fixture
def busy(router: Router) -> Router:
    """One P0 told, a P1 refused for good, a P0 that waits, and two P2s for the digest."""
    router.take(alert())
    router.run(5)
    router.room.fail = lambda *_: (_ for _ in ()).throw(ChatRefused(f"refused by {ROOM}"))
    router.take(alert("LLMRateLimited", "p1", "llm", start_s=5))
    router.run(10)
    router.room.fail = lambda *_: (_ for _ in ()).throw(ChatBusy("not now"))
    router.take(alert("DBPoolExhausted", "p0", "pay", start_s=20))
    router.run(2)
    router.take(alert("LLMFallbackUsed", "p2", start_s=21), alert("Slow", "p2", "x", start_s=21))
    return router


def opened(explorer: Opened, **query: str) -> AppTest:
    return explorer("alerts", told.MemoryStore(), **query)


def figures(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def table(page: AppTest, column: str) -> list[str]:
    return list(next(d.value[column] for d in page.dataframe if column in d.value))


def test_without_a_ledger_the_page_says_how_to_make_and_name_one(explorer: Opened):
    page = opened(explorer)

    assert "WHY504_ALERTS_LEDGER" in page.info[0].value
    assert "why504 alerts test" in page.code[0].value


def test_a_ledger_beside_the_store_is_found(explorer: Opened, tmp_path: Path):
    Ledger(tmp_path / "alerts.sqlite").close()

    page = opened(explorer)

    assert "has not told anything" in page.info[0].value
    assert any("alerts.sqlite" in text for text in texts(page))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "not there"), ("garbage " * 200, "no ledger of alerts")]
)
def test_a_ledger_that_cant_be_read_is_told(
    explorer: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content, said: str
):
    file = tmp_path / "**named**"
    if content:
        file.write_text(content)
    monkeypatch.setenv("WHY504_ALERTS_LEDGER", str(file))

    page = opened(explorer)

    assert said in page.error[0].value
    assert "**named**" in "".join(texts(page))
    assert "named**" not in "".join(interpreted(page))
    assert file.exists() is bool(content)


def test_a_ledger_of_a_newer_router_says_so(explorer: Opened, router: Router):
    connection = sqlite3.connect(router.file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    assert "newer why504" in opened(explorer).error[0].value


def test_what_burns_and_what_was_told_is_shown_with_its_state(explorer: Opened, busy: Router):
    page = opened(explorer)

    assert table(page, "Acknowledged by") == ["nobody"] * 5
    assert table(page, "State") == ["waiting", "given up", "delivered"]
    assert table(page, "Reason") == ["not now", "refused by [address removed]", ""]
    shown = figures(page)
    assert (shown["Burning now"], shown["Unacknowledged"]) == ("5", "3")
    assert (shown["Delivered"], shown["Waiting"], shown["Given up"]) == ("1", "1", "1")
    assert all(metric.help for metric in page.metric)
    assert sorted(row["state"] for row in drawn(page)[0]) == ["delivered", "given up", "waiting"]


def test_who_looks_after_it_is_named(explorer: Opened, busy: Router):
    keys = [row[0] for row in busy.ledger.incidents._database.all("SELECT key FROM incidents")]
    busy.ledger.acknowledgements.add(keys, "<b>Linh</b>", at(30))

    page = opened(explorer)

    assert table(page, "Acknowledged by")[0].startswith("<b>Linh</b>, 2026-")
    assert figures(page)["Unacknowledged"] == "0"


def test_the_address_filters_by_level_and_by_state(explorer: Opened, busy: Router):
    assert table(opened(explorer, level="p0"), "State") == ["waiting", "delivered"]
    assert table(opened(explorer, level="p0", state="delivered"), "State") == ["delivered"]
    assert "No message" in opened(explorer, level="p2", state="dead").info[0].value


def test_choosing_a_filter_changes_the_address(explorer: Opened, busy: Router):
    page = opened(explorer)

    next(box for box in page.selectbox if box.label == "State").set_value("dead").run()

    assert page.query_params["state"] in ("dead", ["dead"])
    assert table(page, "State") == ["given up"]


@pytest.mark.parametrize("query", [{"level": "p9"}, {"state": "<b>"}, {"message": "' OR 1=1 --"}])
def test_a_hand_edited_address_gets_a_clear_message(explorer: Opened, busy: Router, query):
    page = opened(explorer, **query)

    assert page.warning
    assert len(table(page, "State")) == 3


def request_ids(router: Router) -> list[str]:
    return [one.request_id for one in router.ledger.history(10)]


def test_a_message_is_opened_as_people_saw_it(explorer: Opened, busy: Router):
    page = opened(explorer, message=request_ids(busy)[2])

    seen = next(text for text in texts(page) if "Gateway504Ratio · firing" in text)
    assert seen.startswith("<users/all> P0 · Gateway504Ratio shop\n")
    assert table(page, "Fingerprint") == [alert().fingerprint]


def test_choosing_a_message_opens_it(explorer: Opened, busy: Router):
    page = opened(explorer)

    next(box for box in page.selectbox if box.label.startswith("Tick a row")).set_value(2).run()

    assert page.query_params["message"] in (request_ids(busy)[2], [request_ids(busy)[2]])
    assert "As people saw it" in [heading.value for heading in page.header]


def test_a_message_beyond_the_list_is_opened_by_its_address(explorer: Opened, busy: Router):
    page = opened(explorer, message=request_ids(busy)[2], level="p1")

    assert any("Gateway504Ratio · firing" in text for text in texts(page))


def test_an_alert_whose_cause_is_known_leads_to_its_incident(explorer: Opened, busy: Router):
    finding = Finding("F1", "t", "s", ["c"], "inc-9", "ab" * 16, ["pay"])
    keys = [row[0] for row in busy.ledger.incidents._database.all("SELECT key FROM incidents")]
    busy.ledger.incidents.explain(keys, finding, at(25))

    page = opened(explorer, message=request_ids(busy)[2])

    assert query_of(page, "incident") == [{"incident": "inc-9", "trace": "ab" * 16}] * 2


def test_an_alert_with_a_trace_of_its_own_leads_to_it(explorer: Opened, router: Router):
    router.take(alert(annotations={"trace_id": "cd" * 16}))

    assert query_of(opened(explorer), "incident") == [{"trace": "cd" * 16}]


def test_a_trace_that_is_none_leads_nowhere(explorer: Opened, router: Router):
    router.take(alert(annotations={"trace_id": "javascript:alert(1)"}))

    assert query_of(opened(explorer), "incident") == []


def test_the_runbook_of_an_alert_is_at_hand(explorer: Opened, busy: Router):
    page = opened(explorer)

    assert table(page, "Alert")[0] == "DBPoolExhausted"
    (expander,) = page.expander
    assert (runbook_of("DBPoolExhausted") or "").strip() in [
        text.value for text in expander.markdown
    ]


@pytest.mark.parametrize("name", ["", "../README", "README", "/etc/passwd", "x" * 10**6, "**b**"])
def test_no_runbook_is_read_but_ours(name: str):
    assert runbook_of(name) is None


def test_every_runbook_can_be_shown_and_leads_to_no_file():
    names = [file.stem for file in (folder() / "alerts/runbooks").glob("*.md")]

    shown = [runbook_of(name) or "" for name in names]

    assert len(shown) > 30
    assert all("Stop the bleeding" in text or "What it means" in text for text in shown)
    assert not any(".md)" in text or text.startswith("# ") for text in shown)


def test_the_next_digest_is_previewed_in_the_readers_language(explorer: Opened, busy: Router):
    page = opened(explorer, lang="vi")

    digest = next(text for text in texts(page) if "LLMFallbackUsed" in text)
    assert digest.startswith("Tổng hợp P2: 2 cảnh báo trong giờ qua\n")


def test_without_p2s_there_is_no_digest_to_come(explorer: Opened, router: Router):
    router.take(alert())

    assert any("No P2 waits" in text for text in texts(opened(explorer)))


def sent_to_the_browser(page: AppTest) -> str:
    tables = "".join(d.value.to_csv() for d in page.dataframe)
    protos = "".join(str(getattr(element, "proto", "")) for element in page)
    return protos + tables + json.dumps(drawn(page), default=str) + json.dumps(charts(page))


def test_no_address_of_a_room_reaches_the_browser(explorer: Opened, router: Router):
    told_it = {"summary": f"see {ROOM}", "description": f"or {ROOM}", "runbook_url": ROOM}
    router.room.fail = lambda *_: (_ for _ in ()).throw(ChatRefused(f"no: {ROOM}"))
    router.take(alert(annotations=told_it), alert(ROOM, "p2", ROOM))
    router.run(5)

    page = opened(explorer, message=request_ids(router)[0])

    sent = sent_to_the_browser(page)
    assert "SECRET" not in sent
    assert "address removed" in sent


PLANTED = (
    "<script>alert(1)</script>",
    "[x](javascript:alert(1)) :red[x] $x^2$ `code`",
    "\u202etxt.exe\u202c",
    "PLANTED" + "A" * 100_000,
)


@pytest.mark.parametrize("text", PLANTED, ids=range(len(PLANTED)))
def test_what_strangers_say_is_never_interpreted_and_always_bounded(
    explorer: Opened, router: Router, text: str
):
    annotations = {"summary": text, "description": text}
    router.take(alert(text, "p0", text, annotations=annotations, labels={text: text}))
    router.run(5)
    router.take(alert(text, "p2", text, annotations=annotations))

    page = opened(explorer, message=request_ids(router)[0])

    mark = text.strip("\u202e\u202c")[:7]
    assert mark not in "\n".join(interpreted(page))
    assert any(mark in cell for cell in table(page, "Summary"))
    cells = [str(c) for d in page.dataframe for column in d.value for c in d.value[column]]
    assert max(map(len, cells)) <= 300
    everything = [*cells, *texts(page), *(o for box in page.selectbox for o in box.options)]
    assert not any("\u202e" in shown for shown in everything)
    assert max(map(len, texts(page))) < 20_000


def test_thousands_of_alerts_and_messages_stay_a_page(explorer: Opened, router: Router):
    router.take(*(alert(f"A{n}", "p1", f"s{n % 7}") for n in range(1_500)))
    router.run(30)

    began_s = time.process_time()
    page = opened(explorer, message=request_ids(router)[-1])

    assert len(table(page, "Acknowledged by")) == 500
    assert time.process_time() - began_s < 10.0


# --- what is drawn ------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"text": 7}', '{"cardsV2": {"a": 1}}',
                                  '{"cardsV2": [null, {"card": []}]}', "[" * 100_000])  # fmt: skip
def test_a_body_that_is_no_message_is_empty(body: str):
    assert chatcard.as_seen(body, "x") == ""
    assert chatcard.notification(body, "x") == ""


def test_a_card_is_read_as_people_read_it():
    widgets = [
        {"decoratedText": {"topLabel": "Cause", "text": "a &lt;b&gt; &amp; c"}},
        {"textParagraph": {"text": "one<br>↳ two <b>three</b>"}},
        {"buttonList": {"buttons": [{"text": "Open", "onClick": {"openLink": {"url": ROOM}}}]}},
    ]
    header = {"title": "T", "subtitle": "S"}
    card = {"card": {"header": header, "sections": [{"header": "More", "widgets": widgets}]}}

    seen = chatcard.as_seen(json.dumps({"text": "P0", "cardsV2": [card]}), "x")

    assert seen.split("\n") == [
        "P0", "T", "S", "More", "Cause: a <b> & c", "one", "↳ two three", "[Open]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        ROOM,
        ROOM.removeprefix("https://"),
        ROOM.replace("https:", "https: "),
        "http://127.0.0.1:9/v1/spaces/A/messages?key=SECRET&token=SECRET",
        "?key=SECRET&token=SECRET",
        "token=SECRET",
    ],
)
def test_whatever_lets_one_write_to_a_room_is_taken_out(address: str):
    shown = chatcard.without_secrets(f"before {address} after", "[x]")

    assert "SECRET" not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


def sent(taken_s: float | None, frozen_s: float, ended_s: float | None) -> Sent:
    return Sent(
        "id", Level.P0, "delivered" if ended_s else "waiting", 1, at(frozen_s),
        None if ended_s is None else at(ended_s), "", "{}", "main",
        None if taken_s is None else at(taken_s), 1,
    )  # fmt: skip


def test_a_message_takes_from_its_first_alert_to_its_end_or_until_now():
    assert deliveries.seconds_of(sent(0, 1, 3), at(9)) == 3.0
    assert deliveries.seconds_of(sent(0, 1, None), at(9)) == 9.0
    assert deliveries.seconds_of(sent(None, 1, 3), at(9)) == 2.0
    assert deliveries.seconds_of(sent(5, 6, 4), at(9)) == 0.0


def test_deliveries_are_told_apart_by_shape_too_and_described_in_the_readers_language():
    spec = deliveries.chart([sent(0, 1, 3), sent(0, 1, None)], at(9), Say(VIETNAMESE), DARK)

    known = spec.to_dict()
    assert known["encoding"]["shape"]["scale"]["range"] == ["circle", "triangle-up", "cross"]
    assert known["encoding"]["shape"]["scale"]["domain"] == ["đã gửi", "đang chờ", "bỏ hẳn"]
    assert "tin nhắn" in known["description"]
