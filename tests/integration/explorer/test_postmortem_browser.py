"""A post-mortem of a hang full of planted markup, as the command line wrote it, in Chromium."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.integration.explorer import stored_hangs

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What `why504 postmortem` wrote, by kind of file."""
    folder = tmp_path_factory.mktemp("postmortem")
    stored_hangs.write(folder / "store", stored_hangs.planted_hang())
    files = {kind: folder / f"incident.{kind}" for kind in ("html", "markdown", "json")}
    asked = [text for kind, file in files.items() for text in (f"--{kind}", str(file))]
    command = [sys.executable, "-m", "why504.cli", "postmortem", "--store", str(folder / "store")]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return files


@pytest.fixture
def page(chromium: Browser, files: dict[str, Path]) -> Iterator[Page]:
    """The page, opened as the file that it is; fails if it asked for anything or complained."""
    context = chromium.new_context(color_scheme="dark")
    page = context.new_page()
    wrong: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(files["html"].as_uri())
    yield page
    context.close()
    assert wrong == []
    assert asked == [files["html"].as_uri()]


def test_planted_markup_is_text_and_nothing_else(page: Page):
    words = page.locator("main").inner_text()

    assert '<img src=x onerror="window.planted=1"><script>window.planted=1</script>' in words
    assert page.evaluate("window.planted") is None
    assert page.locator("script, img, a, iframe, link, form, [style]").count() == 0
    assert "\u202e" not in page.content()


def test_the_policy_holds_should_the_escaping_ever_fail(
    chromium: Browser, files: dict[str, Path], tmp_path: Path
):
    broken = tmp_path / "broken.html"
    planted = "<script>window.planted=1</script><img src='https://planted.example/i.png'>"
    broken.write_text(files["html"].read_text().replace("<main>", f"<main>{planted}"))
    page = chromium.new_page()
    page.add_init_script(
        "window.refused = [];"
        "addEventListener('securitypolicyviolation', e => refused.push(e.effectiveDirective))"
    )

    page.goto(broken.as_uri())

    assert page.evaluate("window.planted") is None
    assert sorted(page.evaluate("window.refused")) == ["img-src", "script-src-elem"]
    page.close()


def test_it_is_drawn_in_the_colours_of_the_reader(page: Page):
    dark = _colours(page)
    page.emulate_media(color_scheme="light")
    light = _colours(page)
    page.emulate_media(media="print", color_scheme="dark")

    assert dark == ("rgb(255, 255, 255)", "rgb(255, 255, 255)")
    assert light == ("rgb(0, 0, 0)", "rgb(0, 0, 0)")
    assert _colours(page) == ("rgb(0, 0, 0)", "rgb(0, 0, 0)")


def _colours(page: Page) -> tuple[str, str]:
    """Return the colours of words: of the page, and in its figures."""
    body, drawn = page.evaluate(
        "[getComputedStyle(document.body).color,"
        " getComputedStyle(document.querySelector('.wide svg text')).fill]"
    )
    return body, drawn


@pytest.mark.parametrize(("width", "kind"), [(390, "narrow"), (1280, "wide")])
def test_nothing_sticks_out_and_the_figures_are_those_of_the_screen(
    page: Page, width: int, kind: str
):
    page.set_viewport_size({"width": width, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.locator("figure div:visible")
    assert shown.count() >= 2
    assert {shown.nth(n).get_attribute("class") for n in range(shown.count())} == {kind}


def test_it_prints_on_a4(page: Page):
    printed = page.pdf(format="A4", prefer_css_page_size=True)

    boxes = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert 2 <= len(boxes) <= 20
    assert {(round(float(w)), round(float(h))) for w, h in boxes} == {(595, 842)}


def test_the_other_files_tell_the_same_incident(files: dict[str, Path], page: Page):
    told = json.loads(files["json"].read_text())

    assert f"Incident {told['incident']['id']}" in files["markdown"].read_text()
    assert f"Incident {told['incident']['id']}" in page.locator("main").inner_text()
    assert "://" not in files["markdown"].read_text().replace("```", "").split("## One request")[0]
