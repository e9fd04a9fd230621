"""The page behind a card's button "Acknowledge": all that stands in it is text, nothing runs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from typing import Final

from why504.alerts.cards.words import word
from why504.alerts.kept.acknowledgements import Answered

NAME: Final = "name"
NAME_LENGTH: Final = 80
"""Characters."""
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;"
    "max-width:40rem;padding:0 1rem}td{padding:.2rem 1rem .2rem 0;vertical-align:top}"
    "input,button{font:inherit;padding:.4rem .8rem}"
)


def headers() -> Mapping[str, str]:
    """Return what goes with a page: it runs nothing, is kept nowhere and tells no one its link."""
    style = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def page(incidents: Sequence[Answered], language: str) -> str:
    """Return the page of some incidents; with a form as long as one of them is nobody's."""
    rows = "".join(_row(one, language) for one in incidents)
    open_ = any(one.by is None for one in incidents)
    title = word("acknowledge", language) if open_ else incidents[0].service
    return _document(title, f"<table>{rows}</table>{_form(language) if open_ else ''}", language)


def message(key: str, language: str) -> str:
    """Return a page that says one thing of `WORDS`."""
    return _document("why504", f"<p>{escape(word(key, language))}</p>", language)


def _row(one: Answered, language: str) -> str:
    state = word("firing" if one.live else "resolved", language)
    since = f"{word('since', language)} {_clock(one.opened_ns)}"
    by = word("not_acknowledged", language)
    if one.by is not None and one.at_ns is not None:
        name = one.by or word("somebody", language)
        by = f"{word('acknowledged_by', language, name=name)} · {_clock(one.at_ns)}"
    cells = (f"{one.level.name} {one.service}", f"{state} · {since}", by, one.key)
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _form(language: str) -> str:
    return (
        f'<form method="post"><p><label>{escape(word("your_name", language))} '
        f'<input name="{NAME}" maxlength="{NAME_LENGTH}" autocomplete="name"></label></p>'
        f"<p><button>{escape(word('acknowledge', language))}</button></p></form>"
    )


def _document(title: str, body: str, language: str) -> str:
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>"
    )


def _clock(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
