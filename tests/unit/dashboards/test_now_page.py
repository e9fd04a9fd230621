"""The page `now`, on moments built by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboards import live
from dashboards.live import Seen
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards import now_examples as moments
from tests.unit.dashboards.conftest import Opened, charts, drawn, interpreted, texts
from why504.diagnose.now import Now
from why504.errors import StoreUnavailable
from why504.model import Window

Shown = Callable[..., AppTest]
EVIL = "<img src=x onerror=alert(1)> **bold** [x](javascript:alert(1)) \u202egnp.exe"


class Looking:
    """Shows one moment after the other; the last one again and again."""

    def __init__(self, *seen: Seen | Now) -> None:
        self._seen = [one if isinstance(one, Seen) else Seen(one) for one in seen]

    def look(self) -> Seen:
        return self._seen.pop(0) if len(self._seen) > 1 else self._seen[0]


@pytest.fixture
def now(explorer: Opened, monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Open the page on moments: `now(moment, ..., store=, found=, **query)`."""

    def opened(*seen: Seen | Now, store: Any = None, found: Any = (), **query: str) -> AppTest:
        looking = Looking(*seen)
        monkeypatch.setattr(live, "watch", lambda _: looking)
        return explorer("now", store or told.MemoryStore(), found, **query)

    return opened


def said(page: AppTest) -> str:
    return "\n".join(texts(page))


def test_a_hang_is_told_with_its_holder_its_line_and_its_incident(now: Shown):
    page = now(moments.hang())

    assert "It hangs" in page.error[0].value
    assert "10 × 504 in the last minute" in said(page)
    assert "4 open, 4 of them for longer than the gateway waits (60.0 s)" in said(page)
    worst = next(text for text in texts(page) if text.startswith(f"{told.END}\n"))
    assert worst.split("\n") == [
        told.END,
        "in call to broker · open for 62.0 s",
        f"at {told.PUBLISH}",
        "3 wait behind it",
    ]
    assert told.pool_incident().finding.sentence in said(page)
    assert "as of" in said(page)


def test_what_is_stuck_is_a_table_and_the_holder_says_who_waits_behind_it(now: Shown):
    page = now(moments.hang())

    rows = page.dataframe[0].value
    assert list(rows["frees"]) == [3, 0, 0, 0]
    assert list(rows["status"]) == ["504"] * 4
    assert list(rows["waits_for"]) == ["", *["db.pool:main"] * 3]
    assert rows["held_by"][1] == f"{told.END} for 61.5 s, messaging/publisher.py:48"
    holder = next(text for text in texts(page) if "db.pool:main (service-4242) for" in text)
    assert f"taken at {told.TAKEN}" in holder
    assert f"now: in call to broker, {told.PUBLISH}" in holder
    assert f"3 wait: 3 × {told.SUGGEST} (up to 79.5 s)" in holder


def test_links_lead_to_the_request_that_blocks_and_to_the_incident(now: Shown):
    page = now(moments.hang())

    links = [(link.proto.page, link.proto.query_string) for link in page.get("page_link")]
    assert ("request", f"trace={told.trace(200)}") in links
    assert ("incident", f"trace={told.trace(1)}") in links


def test_where_all_is_well_it_says_so_and_draws_an_empty_minute(now: Shown):
    page = now(moments.moment())

    assert "Healthy" in page.success[0].value
    assert not page.error
    assert not page.dataframe
    assert "0 × 504 in the last minute\n0 open" in said(page)
    assert len(charts(page)) == 2


def test_no_news_is_no_all_clear(now: Shown):
    page = now(moments.moment(heard_ns=moments.AT_NS - 75 * told.SECOND, silent=["svc-1"]))

    assert "No news" in page.warning[0].value
    assert not page.success
    assert "Nobody has been heard of for 75.0 s." in said(page)
    assert "svc-1" in said(page)
    assert any("no all-clear" in text.value for text in page.markdown)


def test_the_store_of_an_ended_demo_says_since_when_and_links_its_latest_incident(now: Shown):
    heard_ns = moments.AT_NS - 3600 * told.SECOND
    store = told.MemoryStore(window=Window(told.T0, heard_ns))
    found = [told.pool_incident()]

    page = now(moments.moment(heard_ns=None), store=store, found=found)

    assert "No news" in page.warning[0].value
    assert "(1 h 0 min ago)" in said(page) or "(60 min ago)" in said(page)
    assert found[0].finding.sentence in said(page)
    [link] = page.get("page_link")
    assert link.proto.query_string == f"incident={found[0].id}"


def test_an_empty_store_and_none_at_all_say_what_to_do(
    now: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    silent = moments.moment(heard_ns=None)
    empty = now(silent, store=told.MemoryStore(window=None))
    assert "why504 receive" in empty.code[0].value
    assert "make demo" in [code.value for code in empty.code]

    monkeypatch.setenv("WHY504_STORE", str(tmp_path / "gone"))
    assert "why504 receive" in now(silent).code[0].value

    monkeypatch.delenv("WHY504_STORE")
    assert "WHY504_STORE" in now(silent).info[0].value


def test_a_store_that_cant_be_read_says_so_goes_on_trying_and_keeps_what_was_seen(now: Shown):
    hang = moments.hang()
    page = now(Seen(None, "disk **gone**"), Seen(hang), Seen(hang, "disk **gone**"))

    assert "can't be read" in page.error[0].value
    assert "disk **gone**" in texts(page)
    assert "gone" not in "".join(interpreted(page))
    page.run()
    assert "It hangs" in page.error[0].value
    page.run()
    assert ["can't be read" in page.error[0].value, "It hangs" in page.error[1].value] == [True] * 2


def test_an_old_store_that_cant_be_read_is_told_too(now: Shown):
    class Broken(told.MemoryStore):
        def extent(self) -> Window | None:
            raise StoreUnavailable("no <b>disk</b>")

    page = now(moments.moment(heard_ns=None), store=Broken())

    assert "can't be read" in page.error[0].value
    assert "no <b>disk</b>" in texts(page)


def test_while_it_is_paused_a_click_does_not_change_what_is_seen(now: Shown):
    page = now(moments.hang(), moments.moment())

    page.toggle[0].set_value(True).run()
    page.toggle[0].set_value(True).run()
    assert "paused" in said(page)
    assert "It hangs" in page.error[0].value

    page.toggle[0].set_value(False).run()
    assert "Healthy" in page.success[0].value


def test_thousands_of_open_requests_are_counted_and_the_first_200_shown(now: Shown):
    many = [moments.culprit(9_999), *(moments.stuck(70) for _ in range(9_999))]

    page = now(moments.hang(9_999, open=many, holders=[moments.holding()] * 500))

    assert len(page.dataframe[0].value) == 200
    assert "The first 200 of 10,000." in texts(page)
    assert "10,000 open" in said(page)
    assert len(str(drawn(page))) < 60_000
    assert len(page.get("page_link")) < 20


def test_what_the_view_cant_see_is_said_only_if_there_is_something(now: Shown):
    assert "dropped" not in said(now(moments.hang()))

    page = now(moments.hang(silent=["a"] * 30, dropped=1234, refused=2))

    assert "1,234 spans and records had to be dropped" in said(page)
    assert "2 spans and records were told with a time that can't be" in said(page)
    assert "and 10 more" in said(page)


def test_a_leak_says_that_its_request_is_over(now: Shown):
    leak = moments.holding(request_ended=True, does="", waiters=9)
    page = now(moments.hang(open=[moments.stuck(70)], holders=[leak]))

    assert "has db.pool:main for 61.5 s, though its request is over (a leak)" in said(page)
    assert "its request is over: never given back" in said(page)


def test_what_strangers_send_is_shown_and_interpreted_nowhere(now: Shown):
    site = moments.hostile_site(EVIL * 1000)
    evil: dict[str, Any] = {"route": EVIL, "does": EVIL, "waits_for": EVIL, "instance": EVIL}
    holder = replace(moments.HOLDER, route=EVIL, site=site)
    finding = told.finding(title=EVIL, sentence=EVIL * 10_000)
    page = now(
        moments.hang(
            open=[moments.culprit(2, **{**evil, "site": site, "held_by": holder})],
            holders=[moments.holding(resource=EVIL, route=EVIL, does=EVIL, site=site, at=site)],
            resources=[moments.busy(resource=EVIL, instance=EVIL, oldest=holder)],
            incidents=[told.pool_incident(finding=finding)],
            silent=[EVIL],
        )
    )

    shown = texts(page)
    assert any("<img src=x" in text for text in shown)
    assert "onerror" not in "".join(interpreted(page))
    assert "bold" not in "".join(interpreted(page))
    everything = "".join(shown) + str(drawn(page))
    assert "<img src=x" in str(drawn(page))
    everything += "".join(str(cell) for cell in page.dataframe[0].value.to_numpy().ravel())
    assert "\u202e" not in everything
    assert max(map(len, shown)) < 3_000


def test_it_speaks_vietnamese(now: Shown):
    page = now(moments.hang(), lang="vi")

    assert "Đang treo" in page.error[0].value
    assert "10 lỗi 504 trong phút vừa qua" in said(page)


def test_the_way_back_from_a_request_leads_to_this_page_and_not_to_an_incident(now: Shown):
    page = now(moments.hang(), store=told.both_hangs()[0], found=[told.pool_incident()])

    page.query_params["trace"] = told.trace(1)
    page.run()

    assert page.toggle[0].label == "Pause"
    assert "It hangs" in page.error[0].value
