"""Opens the store that somebody named: a folder, or the address of Tempo."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from why504.stores.parquet import ParquetStore
    from why504.stores.tempo.store import TempoStore


def open_store(place: Path | str) -> ParquetStore | TempoStore:
    """Return the store at a place; the environment says how Tempo is asked (WHY504_TEMPO_*).

    Raises:
        ConfigError: the address or a setting makes no sense.
        MissingExtra: what reads the embedded store is not installed.
    """
    address = address_in(place)
    if address is None:
        from why504.stores.parquet import ParquetStore

        return ParquetStore(Path(place))
    from why504.config import TempoSettings
    from why504.stores.tempo.store import tempo

    return tempo(address, TempoSettings.from_env())


def address_in(place: Path | str) -> str | None:
    """Return the address that a place is, or None where it is a folder.

    An address may come as a `Path`, which takes one of its slashes away: so whoever passes places
    on has one type for both.
    """
    text = place if isinstance(place, str) else place.as_posix()
    match = re.match(r"(?i)(https?):/{1,2}(?=[^/])", text)
    return f"{match[1].lower()}://{text[match.end() :]}" if match else None


def may_tell(place: Path | str) -> bool:
    """Return whether it is worth asking a place: an address is, and a folder that is there."""
    return address_in(place) is not None or Path(place).is_dir()
