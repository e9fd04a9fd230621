from __future__ import annotations

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.conversation import Message, Speaker
from service.domain.topics import LONGEST_READ, OTHER, WORDS, topic_of


def said(*texts: str) -> list[Message]:
    return [Message(Speaker.USER, text) for text in texts]


def test_every_topic_of_a_prompt_has_words_and_no_others_have():
    prompts = importlib.import_module(
        "service.infrastructure.db.migrations.versions.0002_prompts"
    ).PROMPTS

    assert set(WORDS) == {row[6] for row in prompts if row[6] is not None}


def test_no_word_speaks_of_two_topics():
    words = [word for row in WORDS.values() for word in row.split()]

    assert len(words) == len(set(words))
    assert all(word == word.lower() for word in words)


@pytest.mark.parametrize(
    ("texts", "topic"),
    [
        (("A SONG, a guitar!", "and the rain"), "music"),
        (("music and work",), "work"),
        (("worksong rainy-ish songs_",), "weather"),
        (("nothing of that",), OTHER),
        ((), OTHER),
    ],
)
def test_the_topic_is_what_is_spoken_of_most_and_of_equals_the_first_in_the_table(texts, topic):
    assert topic_of(said(*texts)) == topic


def test_what_the_companion_speaks_of_does_not_count():
    assert topic_of([Message(Speaker.COMPANION, "music music"), *said("rain")]) == "weather"


def test_of_a_long_log_only_the_end_is_read():
    assert topic_of(said("music " * 9, "x" * LONGEST_READ)) == OTHER


@given(st.lists(st.text(max_size=50), max_size=5))
def test_any_text_has_a_topic(texts):
    assert topic_of(said(*texts)) in {*WORDS, OTHER}
