"""What holds for every file, and for the commands of the Makefile."""

import re
import subprocess
from pathlib import Path

import pytest

# Paths of one machine. The class keeps this very file from being found.
PLACES = re.compile(r"(?<![\w.:/~-])/(?:[w]ork|[r]oot|[h]ome/\w+|[U]sers/\w+)/[\w.]")


def texts(files: list[Path]) -> dict[Path, str]:
    return {
        path: data.decode(errors="replace")
        for path in files
        if b"\0" not in (data := path.read_bytes())[:8000]
    }


def test_no_file_names_a_place_on_somebodys_machine(root, repository_files):
    found = [
        f"{path.relative_to(root)}:{number}"
        for path, text in texts(repository_files).items()
        for number, line in enumerate(text.splitlines(), 1)
        if PLACES.search(line) or f"{root}/" in line
    ]

    assert found == []


def test_the_lock_pins_versions_and_names_no_index(root):
    lines = (root / "requirements.lock").read_text().splitlines()

    assert all(re.match(r"[a-z0-9][a-z0-9._-]*==[\w.]+( ; .+)?$", line) for line in lines)
    assert any(line.startswith("uv==") for line in lines)
    assert any(line.startswith("sqlalchemy==2.0.") for line in lines)


def targets(root: Path) -> list[str]:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    return [name for name in phony.split() if name != "help"]


def test_plain_make_lists_every_command_with_one_line(root):
    printed = subprocess.run(
        ["make", "--no-print-directory"], cwd=root, capture_output=True, text=True, check=True
    )

    listed = re.findall(r"^make (\S+) +\S.*$", printed.stdout, re.MULTILINE)
    assert listed == targets(root)
    assert all(len(line) <= 100 for line in printed.stdout.splitlines())


def test_commands_are_one_word(root):
    wanted = ["install", "demo", "test", "check", "bench", "matrix", "explorer", "clean"]

    assert set(wanted) <= set(targets(root))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)?", name) for name in targets(root))


def test_continuous_integration_checks_before_it_tests(root):
    script = root / ".ci" / "run"
    lines = script.read_text().splitlines()

    assert script.stat().st_mode & 0o111
    assert lines[-1] == "make --no-print-directory test"
    assert "make --no-print-directory check" in lines
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md"])
def test_a_make_command_in_the_documentation_exists(root, path):
    if not (root / path).exists():
        return
    named = re.findall(
        r"\bmake ([a-z][a-z-]*)\b(?=[`\n ]*(?:`|$|#))", (root / path).read_text(), re.M
    )

    assert set(named) <= set(targets(root))
