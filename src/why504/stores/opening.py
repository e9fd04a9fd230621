"""Opens the store that somebody named: a folder, or the address of Tempo; and metrics beside it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from why504.stores.base import EvidenceStore

METRICS: Final = "WHY504_PROMETHEUS"
"""Variable with the address of Prometheus."""


def open_store(place: Path | str, metrics: str | None = None) -> EvidenceStore:
    """Return the store at a place; the environment says how servers are asked (WHY504_TEMPO_*).

    Args:
        place: a folder, or Tempo's address.
        metrics: Prometheus' address, none if empty; None: WHY504_PROMETHEUS has it, or nobody.

    Raises:
        ConfigError: an address or a setting makes no sense.
        MissingExtra: what reads the embedded store is not installed.
    """
    store = _store_at(place)
    address = os.environ.get(METRICS, "") if metrics is None else metrics
    if not address:
        return store
    from why504.stores.access import PrometheusSettings
    from why504.stores.metered import MeteredStore
    from why504.stores.prometheus.store import prometheus

    return MeteredStore(store, prometheus(address, PrometheusSettings.from_env()))


def _store_at(place: Path | str) -> EvidenceStore:
    address = address_in(place)
    if address is None:
        from why504.stores.parquet import ParquetStore

        return ParquetStore(Path(place))
    from why504.stores.access import TempoSettings
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
