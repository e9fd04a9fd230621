"""What a post-mortem says, section by section: what happened, why, and what to do about it."""

from __future__ import annotations

from dashboards.draw.text import plain
from dashboards.share import happened, reasons, remedies
from dashboards.share.blocks import Document, Section, Todo
from dashboards.share.telling import Telling
from dashboards.words import share as words
from why504 import __version__

FOLLOW_UPS = 4


def document(telling: Telling) -> Document:
    """Return the whole post-mortem; every text is plain, on one line, and bounded."""
    return Document(
        language=telling.say.language,
        title=_title(telling),
        facts=_facts(telling),
        sections=[
            happened.summary(telling),
            happened.impact(telling),
            happened.timeline(telling),
            reasons.cause(telling),
            reasons.chain_(telling),
            *reasons.graph(telling),
            reasons.blames(telling),
            *reasons.compared(telling),
            remedies.helped(telling),
            remedies.todo(telling),
            *happened.examples(telling),
            reasons.not_known(telling),
            _follow_ups(telling),
            *remedies.about(telling),
        ],
    )


def _title(telling: Telling) -> str:
    finding = telling.dossier.incident.finding
    if finding.cause == "UNKNOWN":
        return telling.say(words.TITLE_UNKNOWN)
    return telling.say(words.TITLE, cause=plain(finding.cause, 40), title=plain(finding.title, 120))


def _facts(telling: Telling) -> list[str]:
    say, dossier = telling.say, telling.dossier
    covered = dossier.covered
    facts = [
        say(words.FACT_INCIDENT, id=plain(dossier.incident.id, 40)),
        say(words.FACT_MADE, when=telling.at(dossier.made_ns, date=True), version=__version__),
        say(
            words.FACT_COVERED,
            start=telling.at(covered.start_ns, date=True),
            end=telling.at(covered.end_ns, date=True),
        ),
        say(words.FACT_ZONE, zone=plain(str(telling.zone), 40)),
    ]
    if dossier.address:
        facts.append(say(words.FACT_ADDRESS, address=plain(dossier.address)))
    return facts


def _follow_ups(telling: Telling) -> Section:
    line = telling.say(words.FOLLOW_UP)
    return Section(telling.say(words.FOLLOW_UPS), [Todo([line] * FOLLOW_UPS)])
