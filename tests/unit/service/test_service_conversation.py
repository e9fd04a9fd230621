from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.conversation import (
    Conversation,
    ConversationEnded,
    Message,
    Speaker,
    suffixed_id,
    transcript_of,
    turns_of,
)

messages = st.builds(Message, st.sampled_from(Speaker), st.text(max_size=20))
logs = st.lists(messages, max_size=12).map(tuple)
conversations = st.builds(
    Conversation,
    st.text(max_size=8),
    st.text(max_size=8),
    logs,
    st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(conversations, conversations)
def test_bodies_have_the_same_hash_exactly_if_they_are_equal(one, other):
    same_body = replace(one, conversation_id="") == replace(other, conversation_id="")

    assert (one.body_hash == other.body_hash) is same_body


@given(conversations)
def test_the_id_is_no_part_of_the_body(one):
    assert replace(one, conversation_id="another").body_hash == one.body_hash


def test_a_word_moved_to_another_message_is_another_body():
    split = (Message(Speaker.USER, "a"), Message(Speaker.USER, "b"))
    joined = (Message(Speaker.USER, "ab"),)

    hashes = {Conversation("c", "u", log, None).body_hash for log in (split, joined)}

    assert len(hashes) == 2


@given(logs)
def test_a_transcript_says_every_word_once_in_order_and_nobody_speaks_twice_in_a_row(log):
    transcript = transcript_of(log)

    words = [word for message in log for word in message.text.split()]
    assert [word for message in transcript for word in message.text.split()] == words
    speakers = [message.speaker for message in transcript]
    assert all(first is not second for first, second in itertools.pairwise(speakers))
    assert all(message.text for message in transcript)


@given(logs)
def test_a_transcript_of_a_transcript_is_itself(log):
    assert transcript_of(transcript_of(log)) == transcript_of(log)


@given(logs)
def test_every_turn_is_somebodys(log):
    transcript = transcript_of(log)

    assert sum(turns_of(transcript, speaker) for speaker in Speaker) == len(transcript)


def test_ids_suffixed_a_microsecond_apart_differ():
    now = datetime(2026, 11, 23, 23, 4, 10, 999_999, tzinfo=UTC)

    assert suffixed_id("c1", now) == "c1~20261123T230410.999999Z"
    assert suffixed_id("c1", now) != suffixed_id("c1", now + timedelta(microseconds=1))


plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ended = st.builds(
    ConversationEnded,
    st.integers(),
    plain_text,
    plain_text,
    st.datetimes(timezones=st.just(UTC)),
    st.lists(st.builds(Message, st.sampled_from(Speaker), plain_text), max_size=5).map(tuple),
)
EVENT = ConversationEnded(
    1, "c1", "u1", datetime(2026, 1, 1, tzinfo=UTC), (Message(Speaker.USER, "my secret"),)
)


@given(ended)
def test_an_event_comes_back_from_its_message_as_it_was(event):
    assert ConversationEnded.parse(json.loads(json.dumps(event.payload()))) == event


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"event_id": "1"}, "'event_id' is not of type int"),
        ({"event_id": True}, "'event_id' is not of type int"),
        ({"user_id": None}, "'user_id' is not of type str"),
        ({"user_id": "my secret\0"}, "'user_id' holds what is no text"),
        ({"conversation_id": "\ud800"}, "'conversation_id' holds what is no text"),
        ({"ended_at": "my secret"}, "'ended_at' is no time"),
        ({"ended_at": "2026-01-01T00:00:00"}, "'ended_at' has no time zone"),
        ({"transcript": "my secret"}, "'transcript' is not of type list"),
        ({"transcript": ["my secret"]}, "a message has no known 'speaker'"),
        ({"transcript": [{"speaker": "my secret", "text": ""}]}, "a message has no known"),
        ({"transcript": [{"speaker": "user", "text": 5}]}, "'text' is not of type str"),
    ],
)
def test_a_message_that_is_no_event_is_refused_with_a_reason_that_tells_no_secret(broken, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        ConversationEnded.parse({**EVENT.payload(), **broken})

    assert "secret" not in str(refused.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
        max_leaves=5,
    )
)
def test_garbage_is_refused(garbage):
    with pytest.raises(ValueError):
        ConversationEnded.parse(garbage)
