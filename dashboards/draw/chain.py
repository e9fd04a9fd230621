"""The way from the victims to the cause, as steps to read from top to bottom."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dashboards.draw.text import duration, plain
from dashboards.language import Say
from dashboards.words import lists as words
from why504.model import ChainLink, Finding

STEPS_LIMIT = 12
EVIDENCE_LIMIT = 8
_TRACE: Final = re.compile(r"\b[0-9a-f]{32}\b")


@dataclass(frozen=True, slots=True)
class Step:
    """One box of the chain; every text is plain and bounded."""

    what: str
    lost: str
    """Seconds of the victims' time that went this way."""
    evidence: tuple[str, ...]
    traces: tuple[str, ...] = ()
    """Ids of traces that the evidence names, each once."""


def steps(finding: Finding, say: Say) -> list[Step]:
    """Return the chain, victims first, cause last; at most 12 steps with 8 sentences each."""
    links = list(finding.chain)
    if len(links) > STEPS_LIMIT:
        links = [*links[: STEPS_LIMIT - 1], links[-1]]
    return [_step(link, say) for link in links]


def _step(link: ChainLink, say: Say) -> Step:
    evidence = [plain(sentence) for sentence in link.evidence[:EVIDENCE_LIMIT]]
    traces = tuple(dict.fromkeys(_TRACE.findall("\n".join(evidence))))
    if len(link.evidence) > EVIDENCE_LIMIT:
        evidence.append(say(words.MORE, number=len(link.evidence) - EVIDENCE_LIMIT))
    return Step(
        plain(link.what), say(words.LOST, length=duration(link.seconds)), tuple(evidence), traces
    )
