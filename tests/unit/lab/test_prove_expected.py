from lab.load import conversation
from lab.prove import persistent
from lab.prove.expected import INITIAL_SCORE, Outcome, outcome
from service.domain.conversation import Message, Speaker, transcript_of
from service.domain.friendship import EMOTION_POINTS, MOST_QUESTIONS, POINTS_A_QUESTION

BODY = {
    "user_id": "user-1",
    "log": [
        {"speaker": "user", "text": "I love to cook! Do you?"},
        {"speaker": "companion", "text": "Who doesn't?"},
        {"speaker": "user", "text": "My sister? She hates cooking."},
    ],
}


def test_an_outcome_follows_from_the_request_alone():
    assert outcome(BODY) == Outcome(
        user_id="user-1",
        points=EMOTION_POINTS["love"] + 2 * 0.5 + 2 * POINTS_A_QUESTION,
        topic="cooking",
        emotion="love",
        questions=2,
    )


def test_in_the_labs_conversations_every_message_is_a_turn():
    for number in range(50):
        log = [
            Message(Speaker(each["speaker"]), each["text"]) for each in conversation(number)["log"]
        ]
        assert transcript_of(log) == tuple(log)


def test_conversations_differ_enough_to_tell_a_wrong_effect_from_a_right_one():
    found = [outcome(conversation(number)) for number in range(300)]

    assert len({each.emotion for each in found}) > 4
    assert len({each.topic for each in found}) > 2
    assert len({each.points for each in found}) > 20
    assert max(each.questions for each in found) <= MOST_QUESTIONS


def test_no_order_of_a_users_conversations_takes_the_score_to_0():
    losses = [min(0.0, outcome(persistent.body(n, 60)).points) for n in range(0, 60_000, 60)]

    assert sum(losses[:400]) > -INITIAL_SCORE
