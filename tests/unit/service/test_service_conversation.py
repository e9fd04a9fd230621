from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.domain.conversation import (
    Conversation,
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
