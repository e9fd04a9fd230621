"""The post-mortem: what it says, and that nothing in it but our own words is markup."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from markdown_it import MarkdownIt

from dashboards.language import Say
from dashboards.share import writing
from dashboards.share.dossier import cause_page
from dashboards.share.markdown import said
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards import share_examples as shared
from why504.diagnose.causes import CAUSES
from why504.model import Blame, Leaf, Replay

ENGLISH = Say()
PLANTED = (
    '<script>window.planted=1</script><img src=x onerror="window.planted=1">',
    "<svg/onload=window.planted=1>]]><![CDATA[</style></pre></title><!--",
    "[x](javascript:alert(1)) ![i](https://planted.example/i.png) <https://planted.example>",
    "https://planted.example www.planted.example dev@planted.example mailto:dev@planted.example",
    "**bold** _em_ ~~gone~~ `code` ``` ~~~ | cell | $x^2$ &lt; &#60; \\<b>\\`",
    "# heading",
    "1. list",
    "- [ ] task",
    "> quote",
    "    indented",
    "[ref]: https://planted.example 'x'",
    "@all @org/team #1 GH-1 !1 ~label :red_circle:",
    "\u202etxt.exe\u202c\u2066\x1b]8;;http://planted.example\x07\x00",
    "url(https://planted.example/a)",
    "{title}%s{0}",
    "A" * 1_000_000,
)


class Page(HTMLParser):
    """What a browser would make of a file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


@cache
def page() -> Page:
    return Page(writing.as_html(shared.dossier(), ENGLISH))


@cache
def text() -> str:
    return writing.as_markdown(shared.dossier(), ENGLISH)


SAID = (
    "4 requests got a 504 on",
    "Cause",
    "waiting for db.pool:main",
    "all 15 holders stand on the same line",
    "the broker's own metrics were not seen",
    "Who waited for whom",
    "db.pool:main (waited for)",
    "Connections of pool main in use, of 15: highest, 15",
    "Requests waiting for a connection of pool main: highest, 97",
    "started: context-handling, process 4242",
    "Slowest 1 % of POST /v1/activities/suggest",
    "× 240",
    "the broker took at most 3 s",
    "1 of 4",
    "110 of 112 requests fare as they did",
    "Bound the connect",
    "nobody asked RabbitMQ for alarms",
    "1 % of the lost time could not be followed to anything",
    "broker unreachable, no connect timeout",
    "It waits.",
    "Follow-ups",
    "People hit",
    "From telemetry between 2026-11-23 22:53:40 and 2026-11-23 23:13:40",
    "→ ",
)


@pytest.mark.parametrize("words", SAID)
def test_everything_that_is_known_stands_in_both_files(words: str):
    unescaped = re.sub(r"\\([\\`*_{}\[\]<>|~$&#.)+-])", r"\1", text())

    assert words in page().text
    assert words in unescaped


def test_the_cause_comes_with_its_page_but_without_what_only_the_project_can_run():
    assert "docs/causes/F1.md" in page().text
    assert "why504 demo" not in page().text
    assert "Broker" in cause_page("F1") or "broker" in cause_page("F1")
    assert cause_page("../causes/F1") == ""


@pytest.mark.parametrize("cause", sorted({cause.id for cause in CAUSES}))
def test_the_page_of_every_cause_is_read_into_headings_lists_and_text(cause: str):
    found = shared.incident(finding=told.finding(cause=cause))

    made = writing.as_markdown(shared.dossier(found, cause_page=cause_page(cause)), ENGLISH)

    about = made.partition("## About this cause")[2]
    assert re.findall(r"^### (.*)", about, re.M)[:2] == ["What happens", "What you see"]
    assert "### What to do\n\n1. " in about
    assert "Try it" not in about


def test_an_incident_of_which_little_is_known_says_so():
    found = shared.incident(
        finding=told.finding(cause="UNKNOWN", title="no evidence", confidence=0.0, advice=()),
        blames=(Blame(Leaf("unknown", "nobody told"), 240.0, 1.0, 4),),
        replay=Replay(0, 4, why_not="no request was answered"),
        graph=None,
        people=None,
        victims=(),
    )
    bare = shared.dossier(found, timeline=None, compared=(), examples=[], cause_page="")

    made = writing.as_markdown(bare, ENGLISH)

    assert "# Post-mortem: cause not known" in made
    assert "The cause is not known" in made
    assert "Not known: no request was answered" in made
    assert "100 % of the lost time could not be followed to anything" in made
    assert "not told" in made
    assert "Who waited for whom" not in made
    assert "One request" not in made


def test_the_line_that_blocks_is_marked_also_where_the_time_was_lost_outside():
    outside = replace(told.victim(1), leaf=Leaf("ext", "broker rabbitmq"))

    found = shared.incident(victims=(outside,))
    made = writing.as_markdown(shared.dossier(found), ENGLISH)

    assert re.search(r'^→ File ".*publisher.py", line 48', made, re.M)


def test_an_incident_that_was_not_played_again_does_not_claim_that_nothing_helps():
    made = writing.as_markdown(shared.dossier(shared.incident(replay=None)), ENGLISH)

    assert "The incident was not played again." in made


def test_times_are_of_the_zone_that_is_named():
    made = writing.as_markdown(shared.dossier(), ENGLISH, ZoneInfo("Asia/Ho_Chi_Minh"))

    assert "All times are Asia/Ho\\_Chi\\_Minh" in made
    assert "Made 2026-11-24 08:03:40" in made


def test_over_midnight_every_time_has_its_date():
    found = shared.incident(window=replace(told.pool_incident().window, end_ns=told.at(5_000)))

    made = writing.as_markdown(shared.dossier(found), ENGLISH)

    assert re.search(r"\| 2026-11-23 23:03:40 \| the first request", made)


def test_it_can_be_read_in_vietnamese():
    made = writing.as_html(shared.dossier(), Say("vi"))

    assert '<html lang="vi">' in made
    assert "<h2>Tóm tắt</h2>" in made
    assert "số giây từ khi gateway nhận yêu cầu" in made
    assert "Summary" not in made


def test_the_page_asks_nobody_for_anything_and_a_policy_forbids_it():
    policy = next(value for _, value in page().attributes if value.startswith("default-src"))
    named = {name for name, _ in page().attributes}

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not named & {"href", "src", "srcset", "style", "action", "xlink:href", "background"}
    assert set(page().tags) <= KNOWN_TAGS


def test_figures_are_drawn_for_a_page_and_for_a_phone_with_words_for_the_blind():
    widths = [value for name, value in page().attributes if name == "width"]
    drawn = page().tags.count("svg")

    assert drawn >= 6
    assert widths.count("680") == widths.count("350") == drawn / 2
    assert page().tags.count("figure") == drawn / 2
    assert sum(name == "aria-label" for name, _ in page().attributes) == drawn / 2


KNOWN_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "h3", "p"),
    *("ul", "ol", "li", "div", "table", "thead", "tbody", "tr", "th", "td", "pre", "figure", "svg"),
    *("g", "path", "rect", "circle", "line", "polygon", "text", "tspan", "defs", "clippath"),
    *("lineargradient", "stop"),
}


@pytest.mark.parametrize(
    "hostile", [PLANTED[:1], PLANTED, PLANTED[::-1], PLANTED[7:] + PLANTED[:3]]
)
def test_no_string_of_telemetry_becomes_a_tag_an_attribute_or_a_reference(hostile: tuple[str, ...]):
    made = writing.as_html(shared.planted(*hostile), ENGLISH)
    seen = Page(made)

    assert set(seen.tags) <= KNOWN_TAGS
    assert seen.tags.count("style") == seen.tags.count("title") == 1
    for name, value in seen.attributes:
        assert not name.startswith("on")
        assert name not in {"href", "src", "style", "xlink:href"}
        assert "planted" not in value
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", made)
    assert len(made) < 400_000


READS_NOTHING: dict[str, Callable[[], MarkdownIt]] = {
    "commonmark": lambda: MarkdownIt("commonmark"),
    "github": lambda: MarkdownIt("commonmark").enable(["table", "strikethrough"]),
}


@pytest.mark.parametrize("reader", READS_NOTHING)
@pytest.mark.parametrize("hostile", PLANTED, ids=range(len(PLANTED)))
def test_a_reader_of_markdown_finds_only_our_own_markup(hostile: str, reader: str):
    expected = _kinds("telemetry", reader)

    assert _kinds(hostile, reader) == expected
    assert expected.isdisjoint({"link_open", "image", "html_inline", "html_block", "code_inline"})


@cache
def _kinds(hostile: str, reader: str) -> set[str]:
    made = writing.as_markdown(shared.planted(hostile), ENGLISH)
    tokens = READS_NOTHING[reader]().parse(made)
    return {kind.type for token in tokens for kind in [token, *(token.children or ())]}


@pytest.mark.parametrize("hostile", PLANTED, ids=range(len(PLANTED)))
def test_nobody_is_mentioned_and_no_address_is_left_to_be_found(hostile: str):
    made = writing.as_markdown(shared.planted(hostile), ENGLISH)
    outside = re.sub(r"^(`{3,})\n.*?\n\1$", "", made, flags=re.M | re.S)

    assert "://" not in outside
    assert not re.search(r"www\.\w", outside)
    assert not re.search(r"@\w", outside)
    assert not re.search(r"(?<!#)#\d|GH-\d|[!~]\w|(?<!\w):\w+:", outside)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", made)
    assert len(made) < 200_000


@pytest.mark.parametrize(
    ("told_", "shown"),
    [
        ("POST /v1/conversations/end", "POST /v1/conversations/end"),
        ("15.6 s", "15.6 s"),
        ("1. first", "1\\. first"),
        ("1.", "1\\."),
        ("-1", "\\-1"),
        ("publisher.py:48", "publisher.py:48"),
        ("a|b", "a\\|b"),
        ("", ""),
        ("http://x", "http: //x"),
        ("trace@host", "trace@ host"),
        ("C:\\srv", "C:\\\\srv"),
    ],
)
def test_escaping_leaves_what_is_harmless_as_it_is(told_: str, shown: str):
    assert said(told_) == shown


def test_code_that_holds_a_fence_gets_a_longer_one():
    held = shared.planted("```\n# out\n````")

    fences = re.findall(r"^`{3,}$", writing.as_markdown(held, ENGLISH), re.M)

    assert "`````" in fences


def test_two_thousand_requests_on_as_many_routes_stay_small():
    many = tuple(
        told.victim(n % 200, trace_id=f"{n:032x}", route=f"GET /v1/{n}/" + "long" * 20)
        for n in range(2_000)
    )
    blames = tuple(Blame(Leaf("run", f"leaf {n}" * 20), 1.0, 0.0005, 1) for n in range(2_000))
    dossier = shared.dossier(shared.incident(victims=many, blames=blames))

    made = writing.as_html(dossier, ENGLISH)

    assert "and 1,980 more" in made
    assert len(made) < 500_000
    assert len(writing.as_markdown(dossier, ENGLISH)) < 100_000
    assert len(writing.as_json(dossier)) < 4_000_000


def test_json_has_the_incident_its_graph_its_replay_and_the_course_of_it():
    made = json.loads(writing.as_json(shared.dossier()))

    assert made["incident"]["finding"]["cause"] == "F1"
    assert made["incident"]["count"] == 4
    assert made["incident"]["replay"]["tried"][0]["left"] == 1
    assert made["incident"]["graph"]["edges"][0]["seconds"] == 240.0
    assert made["timeline"]["series"][1]["limit"] == 15.0
    changed = made["compared"][1]
    assert (changed["measure"], changed["of"]) == ("p99", told.SUGGEST)
    assert (changed["before"], changed["during"]) == (0.25, 60.0)
    assert made["examples"] == [told.trace(1), told.trace(2)]
    assert made["covered"] == {"start_ns": told.at(-600), "end_ns": told.at(600)}
