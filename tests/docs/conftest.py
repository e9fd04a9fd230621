"""The files of the repository, as git would take them."""

import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def repository_files() -> list[Path]:
    """Every file that is or may be committed; all but hidden folders where there is no git."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        files = [path for path in ROOT.rglob("*") if not hidden(path.relative_to(ROOT))]
    return sorted(path for path in files if path.is_file())


def hidden(path: Path) -> bool:
    return "__pycache__" in path.parts or any(part.startswith(".") for part in path.parts)


@pytest.fixture(scope="session")
def told_metrics() -> dict[str, set[str]]:
    """Every series that probe, receiver, service and router serve -> its labels, by otel/schema."""
    rows = {
        name: row
        for file in (ROOT / "otel" / "schema").glob("*.yaml")
        for name, row in yaml.safe_load(file.read_text()).get("metrics", {}).items()
    }
    told = {name: set(row["labels"]) for name, row in rows.items()}
    for name, row in rows.items():
        if row["type"] == "histogram":
            told[f"{name}_bucket"] = {*row["labels"], "le"}
            told |= {f"{name}{part}": set(row["labels"]) for part in ("_count", "_sum")}
    return told
