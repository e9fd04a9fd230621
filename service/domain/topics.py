"""Topics: what a session was about, by the words in which people speak of it.

The topic spoken of most often wins. Where several were spoken of equally often it is the first of
them in the table; where none was, it is `OTHER`. Topics are those of the prompts (migration 0002).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from service.domain.conversation import Message, Speaker

OTHER: Final = "other"
"""A session in which no word of the table was said."""

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "names": "name names nickname nicknames called",
        "weather": "weather rain rainy sun sunny snow wind windy storm cloud clouds cloudy",
        "hobbies": "hobby hobbies garden gardening painting drawing knitting hiking chess",
        "places": "city town village country street neighbourhood neighborhood moved live",
        "memories": "memory memories remember childhood grandmother grandfather photo photos",
        "wishes": "wish wishes dream dreams hope hopes",
        "cooking": "cook cooking cooked dinner lunch breakfast recipe recipes soup bake baking",
        "sleep": "sleep sleeping slept asleep insomnia tired nap bed bedtime",
        "work": "work working job boss office colleague colleagues meeting meetings career",
        "music": "music song songs sing singing guitar piano band concert album",
        "films": "film films movie movies cinema actor actress director",
        "riddles": "riddle riddles puzzle puzzles quiz game games",
        "fears": "fear fears afraid scared worry worries worried anxious anxiety",
        "values": "value values honest honesty fair fairness justice believe principle principles",
        "future": "future plan plans someday tomorrow goal goals",
    }
)
"""Words of each topic, lower case."""

LONGEST_READ: Final = 20_000
"""Characters of the end of what the user said that are looked at: reading holds the event loop."""

_WORD: Final = re.compile(r"[^\W\d_]+")


def topic_of(transcript: Sequence[Message]) -> str:
    """Return a topic of the table, or `OTHER`; only what the user said counts."""
    said = " ".join(message.text for message in transcript if message.speaker is Speaker.USER)
    counts = Counter(_WORD.findall(said[-LONGEST_READ:].lower()))
    spoken = {topic: sum(counts[word] for word in WORDS[topic].split()) for topic in WORDS}
    most = max(spoken, key=spoken.__getitem__)
    return most if spoken[most] else OTHER
