"""Answers of others on their own traces, where these lie beside the checkout."""

from __future__ import annotations

import json

import pytest

from lab.oracles.__main__ import DATA, crisp_differs, jaeger_differs, main

beside = pytest.mark.skipif(
    not (DATA / "crisp" / "expected.json").is_file(),
    reason="the oracles' traces are not part of the repository",
)


def test_without_traces_it_says_where_to_put_them(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 2
    assert "--data" in capsys.readouterr().err.replace("\n", " ")


@beside
@pytest.mark.parametrize(
    ("folder", "differs", "count"), [("crisp", crisp_differs, 40), ("jaeger-ui", jaeger_differs, 9)]
)
def test_every_case_gives_its_authors_answer(folder, differs, count):
    cases = json.loads((DATA / folder / "expected.json").read_text())["cases"]

    assert len(cases) == count
    assert [case["file"] for case in cases if differs(DATA / folder / case["file"], case)] == []


@beside
def test_another_answer_is_noticed():
    case = json.loads((DATA / "jaeger-ui" / "expected.json").read_text())["cases"][0]
    case["sections"][0]["section_end"] += 1

    assert jaeger_differs(DATA / "jaeger-ui" / case["file"], case)
