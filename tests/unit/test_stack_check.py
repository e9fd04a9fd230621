"""`make stack-check`: what nobody looked at is not right."""

import pytest

from bench import stack_check
from bench.stack_check import PARTS, Part

REPORT = """<testsuites><testsuite>
<testcase classname="tests.docs.test_tempo" name="test_a" time="0.5"/>
<testcase classname="tests.docs.test_tempo" name="test_b[x]" time="0.25"><failure/></testcase>
<testcase classname="tests.docs.test_rules.TestOf" name="test_c" time="1"><skipped/></testcase>
<testcase classname="tests.docs.test_rules" name="test_d" time="1"><error/></testcase>
</testsuite></testsuites>"""


def test_tests_are_counted_by_what_they_are_about(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)

    assert stack_check._read(tmp_path / "report.xml") == {
        "test_tempo": Part(passed=1, failed=["test_tempo: test_b[x]"], took_s=0.75),
        "test_rules": Part(failed=["test_rules: test_d"], skipped=1, took_s=2.0),
    }


@pytest.mark.parametrize(
    ("of_tempo", "code"),
    [(Part(passed=3), 0), (Part(passed=3, skipped=1), 0), (Part(passed=3, failed=["x"]), 1),
     (Part(skipped=4), 1), (None, 1)],
)  # fmt: skip
def test_it_fails_where_something_is_wrong_or_was_not_looked_at(
    of_tempo, code, tmp_path, monkeypatch
):
    parts = {module: Part(passed=1) for module in PARTS}
    parts |= {"test_tempo": of_tempo} if of_tempo else {}
    if of_tempo is None:
        del parts["test_tempo"]
    monkeypatch.setattr(stack_check, "_tested", lambda: parts)
    monkeypatch.setattr("lab.prove.verdict.RESULTS", tmp_path)

    assert stack_check.main() == code
    assert (tmp_path / "stack-check.json").is_file()
