import io
import json

import pytest
from rich.console import Console

from lab.prove import verdict as told
from lab.prove.verdict import Check, Verdict, publish

NAN = float("nan")


def shown(verdict):
    out = Console(file=io.StringIO(), width=132)
    out.print(verdict.table())
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("check", "passed"),
    [
        (Check("", 0, 0), True),
        (Check("", 1, 0), False),
        (Check("", 100, 100, at_least=True), True),
        (Check("", 99, 100, at_least=True), False),
        (Check("", NAN, 5), False),
        (Check("", NAN, 5, at_least=True), False),
        (Check("", 5, NAN), False),
    ],
)
def test_a_figure_passes_only_on_its_side_of_the_target(check, passed):
    assert check.passed is passed


def test_a_proof_without_checks_proves_nothing():
    assert not Verdict("prove-nothing").passed


def test_one_miss_fails_the_proof_and_is_marked():
    verdict = Verdict("prove-it", [Check("lost", 0, 0), Check("p99", 250, 200, "ms", 100)])

    assert not verdict.passed
    assert [line for line in shown(verdict).splitlines() if "MISS" in line and "p99" in line]
    assert [line for line in shown(verdict).splitlines() if "pass" in line and "lost" in line]


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(told, "RESULTS", tmp_path)
    return tmp_path


def test_a_result_is_kept_with_targets_baselines_ratios_and_machine(results, capsys):
    verdict = Verdict("prove-it", [Check("p99", 150.0, 200.0, "ms", 100.0)], {"kills": 101})

    assert publish(verdict, duration_s=12.34, rehearsal=False) == 0

    kept = json.loads((results / "prove-it.json").read_text())
    assert kept["passed"] is True
    assert kept["duration_s"] == 12.3
    assert kept["facts"] == {"kills": 101}
    assert kept["machine"]["cores"] >= 1
    assert kept["checks"] == [
        {
            "name": "p99",
            "measured": 150.0,
            "target": 200.0,
            "rule": "at most",
            "unit": "ms",
            "baseline": 100.0,
            "passed": True,
            "ratio": 1.5,
        }
    ]
    assert "prove-it: proven" in capsys.readouterr().out


def test_a_miss_is_the_exit_code_and_is_kept_too(results, capsys):
    verdict = Verdict("prove-it", [Check("lost", 1, 0)])

    assert publish(verdict, duration_s=1, rehearsal=False) == 1

    assert json.loads((results / "prove-it.json").read_text())["passed"] is False
    assert "NOT PROVEN" in capsys.readouterr().out


def test_a_figure_that_was_never_measured_is_kept_as_null(results):
    publish(Verdict("prove-it", [Check("p99", NAN, 1)]), duration_s=1, rehearsal=False)

    (check,) = json.loads((results / "prove-it.json").read_text())["checks"]
    assert (check["measured"], check["passed"]) == (None, False)


def test_a_rehearsal_says_so_and_keeps_nothing(results, capsys):
    publish(Verdict("prove-it", [Check("lost", 0, 0)]), duration_s=1, rehearsal=True)

    assert list(results.iterdir()) == []
    out = capsys.readouterr().out
    assert "A rehearsal" in out
    assert "proven" not in out
