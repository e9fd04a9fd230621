"""Documentation fails the build when it lies: links, causes, the tree, the command line."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from why504.diagnose.causes import CAUSES, HEALTH_CHECK, NOTHING_TO_BLAME

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)[^)]*\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADINGS = (
    "## What happens",
    "## What you see",
    "## Evidence for",
    "## Evidence against",
    "## What to do",
    "## Try it",
)


def test_every_local_link_leads_to_a_file_and_a_heading(repository_files):
    pages = [path for path in repository_files if path.suffix == ".md"]

    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in LINK.findall(FENCE.sub("", page.read_text()))
        if not leads_somewhere(page, target)
    ]

    assert pages
    assert broken == []


def leads_somewhere(page: Path, target: str) -> bool:
    if re.match(r"[a-z][a-z+.-]*:", target):
        return True
    path, _, anchor = target.partition("#")
    goal = page.parent / path if path else page
    if not goal.exists():
        return False
    return not anchor or goal.suffix != ".md" or anchor in anchors(goal)


def anchors(page: Path) -> set[str]:
    """Anchors as GitHub makes them of headings."""
    headings = re.findall(r"^#+\s+(.+?)\s*$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_the_readme_is_read_in_one_go(root):
    readme = root / "README.md"
    if readme.exists():
        assert len(readme.read_text().splitlines()) <= 150


@pytest.mark.parametrize(
    "cause", [*CAUSES, HEALTH_CHECK, NOTHING_TO_BLAME], ids=lambda cause: cause.id
)
def test_a_cause_has_its_page_with_the_headings_of_all(root, cause):
    text = (root / cause.page).read_text()

    assert text.startswith(f"# {cause.id}: ")
    assert tuple(re.findall(r"^## .*$", text, re.MULTILINE)) == HEADINGS


def test_no_page_describes_a_cause_that_is_gone(root):
    pages = {path.stem for path in (root / "docs" / "causes").glob("*.md")}

    assert pages == {cause.id for cause in (*CAUSES, HEALTH_CHECK, NOTHING_TO_BLAME)}


def test_a_decision_is_numbered_short_and_says_its_price(root):
    pages = sorted((root / "docs" / "adr").glob("*.md"))

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. ")
        assert len(text.splitlines()) <= 40
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]


def test_decisions_named_in_the_code_exist(root, repository_files):
    named = {
        (path.name, number)
        for path in repository_files
        if path.suffix in {".py", ".md", ".toml", ".yaml"}
        for number in re.findall(r"docs/adr/(\d{4}[\w-]*)", path.read_text())
    }

    assert named
    for where, number in named:
        assert list((root / "docs" / "adr").glob(f"{number}*.md")), f"{where} names {number}"


def test_the_tree_in_contributing_is_the_tree_there_is(root, repository_files):
    (tree,) = re.findall(
        r"^```tree\n(.*?)^```", (root / "CONTRIBUTING.md").read_text(), re.M | re.S
    )
    told = listed_paths(tree)

    assert [path for path in told if not (root / path).exists()] == []
    relative = [path.relative_to(root) for path in repository_files]
    visible = [path for path in relative if not path.name.startswith((".", "__", "py.typed"))]
    # The top of the repository and the top of the package are told in full.
    wanted = {path.parts[0] for path in visible} | {
        "/".join(path.parts[:3]) for path in visible if path.parts[:2] == ("src", "why504")
    }
    assert [
        name for name in sorted(wanted) if not any(path.startswith(name) for path in told)
    ] == []


def listed_paths(tree: str) -> list[str]:
    """Paths of a tree drawn with two spaces a level; a name ends at the first two spaces."""
    folders: list[str] = []
    found = []
    for line in tree.splitlines():
        name = re.split(r"\s{2,}", line.strip())[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = [name]
        found.append("".join(folders))
    return found


def test_the_reference_of_the_command_line_is_what_it_says_of_itself(root):
    typer = shutil.which("typer", path=str(Path(sys.executable).parent))
    assert typer
    generated = subprocess.run(
        [typer, "why504.cli", "utils", "docs", "--name", "why504"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )

    # `make docs` writes it.
    assert (root / "docs" / "cli.md").read_text().strip() == generated.stdout.strip()
