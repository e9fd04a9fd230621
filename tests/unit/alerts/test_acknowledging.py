"""Whoever has a card's link says that they look after it; looking at the page says nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from alerts_by_hand import alert
from guarded_by_hand import Guarded, ack_paths, busy, said, well

from why504.alerts.cards.ack_links import AckLinks

WEEK_S = 7 * 24 * 3600


@pytest.fixture
def router(tmp_path) -> Guarded:
    return Guarded(tmp_path)


def link_of(router: Guarded, *alerts) -> str:
    router.take(*(alerts or [alert()]))
    router.run(1)
    (path,) = ack_paths(router.room.messages[-1])
    return path


def by(router: Guarded) -> list[str | None]:
    keys = [row[0] for row in router.ledger._database.all("SELECT key FROM incidents")]
    return [one.by for one in router.ledger.acknowledgements.of(keys)]


def test_looking_at_the_page_acknowledges_nothing(router):
    path = link_of(router)
    page = router.page()

    for _ in range(3):
        answer = page.get(path)
    assert answer.status_code == 200
    for part in ("P0 shop", "firing", "2026-11-18 11:06:40 UTC", "Not acknowledged yet", "<form"):
        assert part in answer.text
    assert by(router) == [None]
    assert router.ledger.acknowledgements.count() == 0


def test_the_first_who_answers_counts_and_is_told_once_in_the_incidents_thread(router):
    path = link_of(router)
    page = router.page()

    assert "Acknowledged by Lan" in page.post(path, data={"name": "Lan"}).text
    router.run(5)
    again = page.post(path, data={"name": "Bob"}).text
    router.run(600)

    assert "Acknowledged by Lan" in again
    assert "<form" not in again
    assert by(router) == ["Lan"]
    first, told = router.room.messages
    assert told["text"] == "P0 shop · Acknowledged by Lan"
    assert told["thread"] == first["thread"]


def test_a_name_is_not_needed(router):
    path = link_of(router)

    assert "Acknowledged by somebody" in router.page().post(path).text
    router.run(5)
    assert router.room.texts[-1] == "P0 shop · Acknowledged by somebody"


def test_killed_after_the_answer_it_is_told_once(router):
    path = link_of(router)
    router.page().post(path, data={"name": "Lan"})
    router.killed()
    router.run(5)
    router.killed()
    router.run(60)

    assert router.room.texts[1:] == ["P0 shop · Acknowledged by Lan"]


def test_a_link_from_before_a_restart_works(router):
    path = link_of(router)
    router.killed()

    assert router.page().post(path).status_code == 200
    assert by(router) == [""]


def with_another_incident(path: str) -> str:
    return path.replace(path[5:21], "0" * 16)


def with_another_time(path: str) -> str:
    return re.sub(r"until=(\d+)", lambda told: f"until={int(told[1]) + 1}", path)


@pytest.mark.parametrize(
    "forge",
    [with_another_incident, with_another_time, lambda path: path[:-1] + "!",
     lambda path: path[:-64] + "%C3%A9" * 64, lambda path: path.partition("?")[0],
     lambda path: path.partition("&")[0], lambda path: re.sub(r"until=\d+", "until=never", path)],
)  # fmt: skip
def test_a_forged_link_is_refused_and_says_what_to_do(router, forge):
    path = link_of(router)
    page = router.page()

    for answer in (page.get(forge(path)), page.post(forge(path), data={"name": "Eve"})):
        assert answer.status_code == 403
        assert "Open the newest card" in answer.text
        assert "shop" not in answer.text
    assert by(router) == [None]


def test_a_link_that_another_key_signed_is_refused(router):
    link_of(router)
    (one,) = router.ledger._database.one("SELECT key FROM incidents")
    forged = AckLinks("https://x", b"guessed").to([one], router.clock.wall_ns())

    assert router.page().post(forged.removeprefix("https://x")).status_code == 403


def test_a_link_lives_for_a_week(router):
    path = link_of(router)

    router.clock.advance(WEEK_S - 60)
    assert router.page().get(path).status_code == 200
    router.clock.advance(120)
    assert router.page().post(path).status_code == 403
    assert by(router) == [None]


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<users/all>",
             "\u202egnorw\x00\n", "https://evil.example/x", "x" * 5000],
)  # fmt: skip
def test_a_name_is_a_strangers_text(router, name):
    path = link_of(router)
    page = router.page()

    page.post(path, data={"name": name})
    html = page.get(path).text
    router.run(5)

    shown = re.sub(r"</?(!doctype|html|meta|title|style|h1|table|tr|td)\b[^>]*>", "", html)
    assert "<" not in shown
    assert not re.search(r"x{81}|[\x00\u202e]", shown)
    assert not re.search(r"[<>*_`@]|https?:/", router.room.texts[-1])


def test_the_page_runs_nothing_and_is_kept_nowhere(router):
    answer = router.page().get(link_of(router))

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in answer.text


def test_a_service_is_a_strangers_text_too(router):
    path = link_of(router, alert(service="<b>shop</b>"))

    assert "&lt;b&gt;shop&lt;/b&gt;" in router.page().get(path).text


def test_of_a_storm_one_link_acknowledges_all_and_one_message_tells(router):
    router.room.fail = busy
    router.take(*(alert(service=f"shop-{n}") for n in range(50)))
    router.room.fail = well
    path = link_of(router, alert(service="one more"))
    assert len(path) < 2000

    answer = router.page().post(path, data={"name": "Lan"})
    router.run(60)

    assert answer.text.count("Acknowledged by Lan") == 51
    assert by(router) == ["Lan"] * 51
    assert router.room.texts[1:] == ["51 incidents · Acknowledged by Lan"]


def test_a_storm_beyond_one_links_length_has_more_buttons(router):
    router.take(*(alert(service=f"shop-{n}") for n in range(200)))
    router.run(1)

    paths = ack_paths(router.room.messages[0])
    assert len(paths) == 3
    for path in paths:
        router.page().post(path)
    assert None not in by(router)


def test_only_a_p0_that_burns_has_the_button(router):
    router.take(alert(severity="p1", service="other"))
    router.run(5)
    path = link_of(router)
    router.take(alert(end_s=3))
    router.run(5)

    assert path
    assert [len(ack_paths(message)) for message in router.room.messages] == [0, 1, 0]


def test_who_was_told_in_the_second_room_hears_there_who_looks_after_it(router):
    router.room.fail = busy
    router.take(alert())
    router.run(62)
    (path,) = ack_paths(router.second.messages[0])
    router.page().post(path, data={"name": "Lan"})
    router.run(10)

    assert router.second.texts[1:] == ["P0 shop · Acknowledged by Lan"]
    assert router.second.messages[0]["thread"] == router.second.messages[1]["thread"]


def test_a_disk_that_refuses_says_so(router):
    path = link_of(router)
    router.ledger._database._connection.execute("PRAGMA query_only = ON")

    answer = router.page().post(path, data={"name": "Lan"})

    assert answer.status_code == 503
    assert "Try again" in answer.text


def test_without_an_address_there_is_no_button(router):
    router.delivery._place = replace(router.place, ack_links=AckLinks())
    router.take(alert())
    router.run(1)

    assert ack_paths(router.room.messages[0]) == []


def test_button_and_page_speak_vietnamese(router):
    router.place = router.delivery._place = replace(router.place, language="vi")
    path = link_of(router)

    assert "Xác nhận" in said(router.room.messages)
    assert "Chưa ai xác nhận" in router.page().get(path).text


def test_a_key_is_made_once_and_shown_nowhere(router):
    key = router.ledger.acknowledgements.key()

    assert len(key) == 32
    assert router.ledger.acknowledgements.key() == key
    assert key.hex() not in json.dumps(repr(router.place))
    assert "key=" not in repr(router.place.ack_links)
