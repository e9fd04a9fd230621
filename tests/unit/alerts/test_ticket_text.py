"""Nothing in an alert does anything in a tracker: it is text in a block, whatever it is."""

from __future__ import annotations

import json
import re

from alerts_by_hand import alert, at
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lab.standins.ticketbodies import check
from why504.alerts.alert import FIRING, RESOLVED, Alert, Level
from why504.alerts.kept.message import Change
from why504.alerts.rooms.finding import Finding
from why504.alerts.tickets.jira import document
from why504.alerts.tickets.markdown import bears, markdown
from why504.alerts.tickets.port import Note
from why504.alerts.tickets.ticketbook import News
from why504.alerts.tickets.wording import note_of

MARK = "why504:0123456789abcdef"
HOSTILE = st.text(max_size=300) | st.sampled_from([
    "@octocat @everyone", "fixes #3, closes owner/repo#12, GH-12 gl-7 [issue:3]", "/close",
    "\n/close",
    "```\n/assign @me\n", "````", "~~~", "<!-- why504:fedcba9876543210 -->",
    f"\n<!-- {MARK}/1 -->\n",
    "<script>alert(1)</script>", "[x](https://evil.example)", "![x](https://evil.example/x.png)",
    "https://evil.example www.evil.example a@evil.example", "!12 $3 %4 &5 ~6 ^alert#7", ":shipit:",
    "\u202egnorw", "\x00\x1b[31m", '"}]}', "\ud800", "\u2028/close\u2029/close",
    "\r/close\r\n/close",
    "`" * 500, "{code}\n{panel}", "[~accountid:5]", "    indented", "- [ ] task", "# heading",
    "a" * 9_000,
])  # fmt: skip
ALERTS = st.builds(
    Alert,
    labels=st.dictionaries(
        st.sampled_from(["alertname", "service_name", "severity", "job"]) | HOSTILE,
        HOSTILE,
        max_size=8,
    ),
    status=st.sampled_from([FIRING, RESOLVED]),
    starts_ns=st.integers(-62_135_596_800, 253_402_300_799).map(lambda s: s * 10**9 + 999_999_999),
    ends_ns=st.none() | st.integers(0, 2**62),
    annotations=st.dictionaries(
        st.sampled_from(["summary", "description", "runbook_url"]), HOSTILE, max_size=3
    ),
    fingerprint=HOSTILE.map(lambda text: text[:64]),
)
FINDINGS = st.builds(
    Finding, cause=HOSTILE, title=HOSTILE, sentence=HOSTILE, chain=st.lists(HOSTILE, max_size=12),
    incident_id=HOSTILE, trace_id=HOSTILE, services=st.just([]),
)  # fmt: skip


def news_of(*alerts: Alert, finding: Finding | None = None, **more) -> News:
    told = {
        "incident": MARK.partition(":")[2], "service": "shop", "level": Level.P1,
        "opened_ns": at(0), "live": True, "first": True, "finding": finding,
        "changes": [Change(n, one, at(1)) for n, one in enumerate(alerts)],
    }  # fmt: skip
    return News(**(told | more))


NOTES = st.builds(
    lambda alerts, finding, service, live, first: note_of(
        news_of(*alerts, finding=finding, service=service, live=live, first=first), "en", at(9)
    ),
    st.lists(ALERTS, min_size=1, max_size=12),
    st.none() | FINDINGS,
    HOSTILE,
    st.booleans(),
    st.booleans(),
)


@given(NOTES)
def test_as_markdown_it_is_a_comment_and_a_block_of_code(note):
    comment, block = MarkdownIt("commonmark").parse(markdown(note))

    assert (comment.type, comment.content.strip()) == ("html_block", f"<!-- {note.mark} -->")
    assert (block.type, block.info) == ("fence", "")
    assert block.content == "\n".join(note.lines) + "\n"


@given(NOTES)
def test_no_line_is_a_strangers_own(note):
    """GitLab reads `/close` at the begin of a line; ours all begin with a word or an arrow."""
    text = markdown(note)

    assert note.lines
    assert all(re.match(r" *(↳ |[A-Za-z_][\w ]*[:,])", line) for line in note.lines)
    assert all(line.isprintable() and len(line) < 4_000 for line in note.lines)
    assert len(text.splitlines()) == len(note.lines) + 4
    assert len(text) < 32_767
    text.encode()


@given(NOTES)
def test_a_title_has_no_signs_that_mean_anything(note):
    assert re.fullmatch(r"P1[\w .,·-]*", note.title)
    assert not re.search(r"\b(gh|gl)-\d", note.title, re.IGNORECASE)
    assert len(note.title) <= 121


@given(NOTES)
def test_as_an_atlassian_document_it_is_a_block_of_code_and_its_mark(note):
    body = document(note)

    check(json.loads(json.dumps(body)))
    block, mark = body["content"]
    assert block["content"][0]["text"] == "\n".join(note.lines)
    assert mark["content"] == [{"type": "text", "text": note.mark}]
    assert len(json.dumps(body, ensure_ascii=False)) < 32_767 * 2


@given(NOTES)
def test_nobody_can_write_the_mark_of_another(note):
    other = Note("why504:fedcba9876543210", "", [], 0)

    assert bears(markdown(note), note)
    assert not bears(markdown(note), other)
    assert bears(markdown(note), Note(f"{MARK}/1", "", [], 0)) is False


def test_a_mark_depends_on_what_is_told_alone():
    first = note_of(news_of(alert()), "en", at(5))
    marks = [
        note_of(news_of(one, first=False), "en", at(when)).mark
        for one, when in ((alert(), 5), (alert(), 900), (alert(end_s=4), 5), (alert("B"), 5))
    ]

    assert first.mark == MARK
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3


def test_in_vietnamese():
    note = note_of(news_of(alert(severity="p1", end_s=4), live=False), "vi", at(9))

    assert note.lines[0] == "đã hết: P1 Gateway504Ratio"
    assert note.lines[-1] == "đã kết thúc, kéo dài 4 s"


def test_a_fence_is_longer_than_any_in_the_text():
    note = Note(MARK, "", ["a", "````", "b"], 0)
    _, block = MarkdownIt("commonmark").parse(markdown(note))

    assert block.content == "a\n````\nb\n"
