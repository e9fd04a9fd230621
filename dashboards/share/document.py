"""A post-mortem for machines: plain data, texts as they were told."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dashboards.share.dossier import Dossier
from why504 import __version__
from why504.report import as_json


def document(dossier: Dossier) -> dict[str, Any]:
    """Return a dossier as data for JSON.

    `incident` has the fields of `why504.model.Incident`, graph and replay included; `timeline` and
    `compared` those of `why504.diagnose.timeline.Timeline` and `.compared.Compared`.
    """
    return {
        "why504": __version__,
        "made_ns": dossier.made_ns,
        "covered": asdict(dossier.covered),
        "address": dossier.address,
        "incident": as_json(dossier.incident),
        "timeline": asdict(dossier.timeline) if dossier.timeline else None,
        "compared": [asdict(one) for one in dossier.compared],
        "examples": [example.victim.trace_id for example in dossier.examples],
    }
