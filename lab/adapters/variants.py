"""Ways to put the service together, by name: the good one, and one for each mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lab.adapters.check_health import CheckInTheRequest
from lab.adapters.emotion_reader import (
    ComputingEmotionReader,
    ForgetfulEmotionReader,
    PatientEmotionReader,
    SyncEmotionReader,
    ThreadedEmotionReader,
)
from lab.adapters.event_publisher import (
    BlockingPublisher,
    ConfirmingPublisher,
    ThreadedPublisher,
)
from lab.adapters.memory import UnboundedMemory
from lab.adapters.score_conversation import (
    ScoreInTwoSessions,
    ScoreRowByRow,
    ScoreWhileHolding,
)
from lab.adapters.unit_of_work import units_of_work
from service.main import Adapters

VARIANTS: Final[Mapping[str, Callable[[str], Adapters]]] = {
    "good": lambda _: Adapters(),
    "publish in the request": lambda broker_url: Adapters(
        event_publisher=lambda _: BlockingPublisher(broker_url)
    ),
    "publish in a thread": lambda broker_url: Adapters(
        event_publisher=lambda _: ThreadedPublisher(broker_url)
    ),
    "publish with confirms in a thread": lambda broker_url: Adapters(
        event_publisher=lambda _: ConfirmingPublisher(broker_url)
    ),
    "health asked in the request": lambda broker_url: Adapters(
        check_health=lambda _: CheckInTheRequest(broker_url)
    ),
    "memory without a limit": lambda _: Adapters(memory=UnboundedMemory),
    "sessions never removed": lambda _: Adapters(units_of_work=units_of_work),
    "sync LLM client": lambda _: Adapters(emotion_reader=SyncEmotionReader),
    "patient LLM client": lambda _: Adapters(emotion_reader=PatientEmotionReader),
    "blocking work in threads": lambda _: Adapters(emotion_reader=ThreadedEmotionReader),
    "computing on the loop": lambda _: Adapters(emotion_reader=ComputingEmotionReader),
    "everything kept": lambda _: Adapters(emotion_reader=ForgetfulEmotionReader),
    "a session inside a session": lambda _: Adapters(score_conversation=ScoreInTwoSessions),
    "a query for each row": lambda _: Adapters(score_conversation=ScoreRowByRow),
    "LLM inside the transaction": lambda _: Adapters(score_conversation=ScoreWhileHolding),
}
"""Each makes the adapters, given the broker's URL."""
