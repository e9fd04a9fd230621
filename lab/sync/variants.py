"""Ways to put the synchronous service together, by name: the good one, and one for each mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Engine

from lab.sync import publishing, readers, scoring, sessions
from lab.sync.publishing import Publish
from lab.sync.readers import MakeReader
from lab.sync.scoring import Score
from lab.sync.sessions import BeginWork


def _outbox(_: str) -> Publish:
    return publishing.into_outbox


@dataclass(frozen=True, slots=True)
class Parts:
    """How each replaceable part is made; the defaults are a service as it should be."""

    sessions: Callable[[Engine], BeginWork] = sessions.closed_sessions
    publish: Callable[[str], Publish] = _outbox
    """Given the broker's URL."""
    reader: MakeReader = readers.GroqReader
    score: Score = scoring.score_without_holding


VARIANTS: Final[Mapping[str, Parts]] = {
    "good": Parts(),
    "sessions never removed": Parts(sessions=sessions.kept_sessions),
    "publish in the transaction": Parts(publish=publishing.in_transaction),
    "publish after the commit": Parts(publish=publishing.after_commit),
    "patient LLM client": Parts(reader=readers.PatientReader),
    "blocking work": Parts(reader=readers.ShareReader),
    "computing": Parts(reader=readers.ComparingReader),
    "everything kept": Parts(reader=readers.ForgetfulReader),
    "a session inside a session": Parts(score=scoring.score_in_two_sessions),
    "a query for each row": Parts(score=scoring.score_row_by_row),
    "LLM inside the transaction": Parts(score=scoring.score_while_holding),
}
