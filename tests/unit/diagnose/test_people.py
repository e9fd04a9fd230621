"""How many people an incident hit."""

from __future__ import annotations

import pytest

from tests.unit.diagnose.evidence_by_hand import Scene
from why504.diagnose import explain


def hit(*whose: str | None, attribute: str = "enduser.pseudo.id") -> int | None:
    """Return how many people are counted of 504s of these people; None tells nothing."""
    scene = Scene(until_s=100)
    for number, who in enumerate(whose):
        scene.gateway(f"r{number}", 10, 70)
        told = {attribute: who} if who is not None else {}
        scene.app(f"r{number}", 10, None, **told)
    (incident,) = explain(scene.evidence())
    return incident.people


def test_one_person_who_tried_again_counts_once():
    assert hit("ann", "ann", "bob") == 2


def test_requests_that_do_not_say_whose_they_are_add_nobody():
    assert hit("ann", None, "") == 1


def test_nobody_tells_is_not_nobody():
    assert hit(None, None) is None


@pytest.mark.parametrize("attribute", ["user.id", "enduser.id", "user.hash"])
def test_any_of_the_conventions_counts(attribute: str):
    assert hit("ann", "bob", attribute=attribute) == 2


def test_people_whose_requests_were_answered_are_not_counted():
    scene = Scene(until_s=100)
    scene.gateway("late", 10, 70)
    scene.app("late", 10, None, **{"user.id": "ann"})
    scene.gateway("fine", 10, 11, status=200)
    scene.app("fine", 10, 11, **{"user.id": "bob"})

    (incident,) = explain(scene.evidence())

    assert incident.people == 1
