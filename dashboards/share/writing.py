"""A dossier as the text of a file of each kind."""

from __future__ import annotations

import json
from datetime import UTC, tzinfo

from dashboards.language import Say
from dashboards.share import document, figures, html, markdown, sections
from dashboards.share.dossier import Dossier
from dashboards.share.telling import Telling


def as_html(dossier: Dossier, say: Say, zone: tzinfo = UTC) -> str:
    """Return a page that needs nothing else, in some language and with times of a zone."""
    return html.html(figures.with_figures(sections.document(Telling(dossier, say, zone))))


def as_markdown(dossier: Dossier, say: Say, zone: tzinfo = UTC) -> str:
    """Return text for a wiki or an issue."""
    return markdown.markdown(sections.document(Telling(dossier, say, zone)))


def as_json(dossier: Dossier) -> str:
    """Return one JSON document for programs."""
    return json.dumps(document.document(dossier), indent=2, ensure_ascii=False) + "\n"
