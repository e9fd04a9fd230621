from dataclasses import replace
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from dashboards.draw.stack import marked, own_paths
from dashboards.draw.text import block, duration, moment, percent, plain, short
from tests.unit.dashboards import explorer_examples as told
from why504.model import Evidence, Site, Window


def test_ordinary_text_stays_as_it_is():
    assert plain("POST /v1/cuộc-trò-chuyện 会話 ✓") == "POST /v1/cuộc-trò-chuyện 会話 ✓"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("safe\u202eexe.txt", "safe<U+202E>exe.txt"),
        ("a\u2066b\u2069", "a<U+2066>b<U+2069>"),
        ("zero\u200bwidth", "zero<U+200B>width"),
        ("\x1b[31mred\x00", "<U+001B>[31mred<U+0000>"),
        ("lone \ud800 surrogate", "lone <U+D800> surrogate"),
        ("two\nlines\tand tab", "two lines and tab"),
    ],
)
def test_invisible_characters_are_spelled_out(hostile: str, shown: str):
    assert plain(hostile) == shown


def test_a_line_is_never_longer_than_its_limit():
    assert plain("x" * 100_000) == "x" * 299 + "…"
    assert len(plain("\u202e" * 100_000)) == 300
    assert plain("x" * 300) == "x" * 300


def test_a_block_keeps_40_lines_and_their_indent():
    assert block("a\n  b\r\n\u202ec") == "a\n  b\n<U+202E>c"

    shown = block("\n".join("y" * 5_000 for _ in range(100)))

    assert len(shown) <= 41 * 301
    assert block("\n".join(str(n) for n in range(50))).endswith("\n39\n…")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0.00 s"), (0.349, "0.35 s"), (41.24, "41.2 s"), (240, "4 min"), (36_130, "10 h 2 min")],
)
def test_durations_are_told_as_people_do(seconds: float, shown: str):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0 %"), (0.004, "< 1 %"), (0.5, "50 %"), (0.995, "> 99 %"), (1.0, "100 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, shown: str):
    assert percent(share) == shown


def test_times_are_told_in_the_readers_zone():
    assert moment(told.at(1), UTC) == "2026-11-23 23:03:41"
    assert moment(told.at(1), ZoneInfo("Asia/Ho_Chi_Minh"), date=False) == "06:03:41"


def test_a_site_is_shortened_to_the_last_folder():
    assert short(told.PUBLISH) == "messaging/publisher.py:48"
    assert short(Site("a.py", 3, "f")) == "a.py:3"


def test_the_blocking_line_of_a_stack_is_marked():
    lines = marked(told.STACK, told.PUBLISH).split("\n")

    assert [n for n, line in enumerate(lines) if line.startswith("→ ")] == [2]
    assert "publisher.py" in lines[2]
    assert "→" not in marked(told.STACK, None)


def test_lines_of_the_application_stand_out_among_those_of_libraries():
    stack = """File "asyncio/queues.py", line 1, in get
File "app/publisher.py", line 48, in publish
File "application/x.py", line 1, in x
File "app/api/routes.py", line 7, in end
  await publish()"""
    held = replace(told.holder_trace().holds[0], site=Site("app/db/session.py", 9, "open"))
    own = own_paths(Evidence(Window(0, 1), holds=(held,)), None)

    lines = marked(stack, Site("app/publisher.py", 48, "f"), own).split("\n")

    assert [line[:2] for line in lines] == ["  ", "→ ", "  ", "· ", "  "]


@pytest.mark.parametrize(
    ("site", "same", "other"),
    [
        ("main.py", "main.py", "mainly.py"),
        ("/srv/app/api/a.py", "/srv/app/api/b.py", "/srv/venv/lib/x.py"),
    ],
)
def test_code_in_no_folder_or_under_an_absolute_path_is_found_too(site, same, other):
    own = own_paths(
        Evidence(
            Window(0, 1), holds=(replace(told.holder_trace().holds[0], site=Site(site, 1, "f")),)
        )
    )

    assert marked(f'File "{same}", line 1, in f', None, own).startswith("·")
    assert not marked(f'File "{other}", line 1, in f', None, own).startswith("·")


def test_a_stack_frame_on_another_line_or_in_another_file_is_not_marked():
    here = 'File "/srv/app/a.py", line 4, in f'

    assert marked(here, Site("app/a.py", 4, "f")).startswith("→")
    assert not marked(here, Site("app/a.py", 44, "f")).startswith("→")
    assert not marked(here, Site("app/b.py", 4, "f")).startswith("→")
    assert not marked('File "x", line ' + "9" * 90_000, Site("x", 4, "f")).startswith("→")
