"""Runbooks are read at night: each has the same headings, and what it names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.application.settings import Settings
from why504.alerts.runbooks import pages

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "alerts" / "runbooks").glob("*.md"))
HEADINGS = [
    "What it means for users",
    "Confirm",
    "Stop the bleeding",
    "Find the cause",
    "Prevent",
]
LONGEST = 60
"""Lines."""
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"```sh\n(.*?)```|`([^`\n]+)`", re.DOTALL)
OURS = re.compile(
    r"\b(?:http_server|db_client|gen_ai|llm|memory|messaging|service|why504)_[a-z][a-z0-9_]*"
)
LABELS = {"service_name"}

each = pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)


def code(runbook: Path) -> list[str]:
    """What is set as code: to be copied, or the name of something."""
    return [block or span for block, span in CODE.findall(runbook.read_text())]


@pytest.fixture(scope="session")
def metrics(told_metrics) -> set[str]:
    """Every series that probe, receiver, service and router serve, by its Prometheus name."""
    return set(told_metrics)


@pytest.fixture(scope="session")
def commands() -> dict[str, set[str]]:
    """Every command of `why504` with its options, out of its reference."""
    text = (ROOT / "docs" / "cli.md").read_text()
    sections = re.split(r"^##+ `why504 (.*)`$", text, flags=re.MULTILINE)[1:]
    return {
        name: set(re.findall(r"^\* `(--[a-z-]+)", section, re.MULTILINE))
        for name, section in zip(sections[::2], sections[1::2], strict=True)
    }


def test_there_are_runbooks():
    assert RUNBOOKS


@each
def test_a_runbook_is_short_and_has_the_headings_of_all(runbook):
    text = runbook.read_text()
    outside = BLOCK.sub("", text)

    assert len(text.splitlines()) <= LONGEST
    assert re.findall(r"^# (.*)$", outside, re.MULTILINE) == [runbook.stem]
    assert text.startswith(f"# {runbook.stem}\n")
    assert re.match(r"(P0|P1|P2|none): \S.*\.$", text.splitlines()[1])
    assert re.findall(r"^##+ (.*)$", outside, re.MULTILINE) == HEADINGS


@each
def test_confirming_takes_one_command(runbook):
    section = runbook.read_text().partition("\n## Confirm\n")[2].partition("\n## ")[0]

    (block,) = BLOCK.findall(section)
    (command,) = block.splitlines()
    assert shlex.split(command)
    assert section.count("```") == 2
    # The only one: everything else is a step, with what it costs.
    assert runbook.read_text().count("```") == 2


@each
def test_steps_are_numbered(runbook):
    section = runbook.read_text().partition("\n## Stop the bleeding\n")[2].partition("\n## ")[0]

    numbers = re.findall(r"^(\d+)\. \S", section, re.MULTILINE)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert numbers


@each
def test_a_metric_that_is_named_exists(runbook, metrics):
    for text in code(runbook):
        unknown = set(OURS.findall(text)) - metrics - LABELS
        if " grep " in text:
            # What is searched for may be how several begin.
            unknown = {name for name in unknown if not any(m.startswith(name) for m in metrics)}
        assert unknown == set()


@each
def test_a_command_of_ours_that_is_named_exists_with_its_options(runbook, commands):
    for text in code(runbook):
        if text.startswith("why504 "):
            words = shlex.split(re.split(r" [|>] ", text)[0])[1:]
            name = " ".join(words[:2] if words[0] == "alerts" else words[:1])
            assert name in commands
            assert {word for word in words if word.startswith("--")} <= commands[name]


@each
def test_a_setting_of_the_service_that_is_named_exists(runbook):
    named = re.findall(r"\bSERVICE_([A-Z][A-Z0-9_]*)", runbook.read_text())
    assert {name.lower() for name in named} - set(Settings.model_fields) == set()


@each
def test_a_local_link_leads_to_a_file(runbook):
    targets = re.findall(r"\]\(([^)]+)\)", BLOCK.sub("", runbook.read_text()))

    assert [t for t in targets if not (runbook.parent / t).is_file()] == []
    # Whoever was told the name of a cause is one step from its page.
    page = runbook.read_text()
    spelled = set(re.findall(r"\b(?:[A-G]\d[a-c]?|N0)\b", CODE.sub("", page)))
    assert {t for t in targets if "/causes/" in t} >= {
        f"../../docs/causes/{cause}.md" for cause in spelled
    }


def test_every_runbook_and_every_cause_is_shown():
    app = FastAPI()
    app.include_router(pages(ROOT))
    client = TestClient(app)
    listed = client.get("/runbooks").text

    for runbook in RUNBOOKS:
        assert f'href="/runbooks/{runbook.stem}"' in listed
        shown = client.get(f"/runbooks/{runbook.stem}").text
        places = set(re.findall(r'href="(/[^"]*)"', shown))
        assert [place for place in places if client.get(place).status_code != 200] == []
