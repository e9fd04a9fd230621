"""What the service says of itself: every endpoint, and how it may fail."""

from __future__ import annotations

import pytest

from service.application.settings import Settings
from service.main import create_app

SCORE = "/v1/friendship_status/calculate-score"
READS_A_BODY = {"413", "422", "429", "503"}
READS_AN_ID = {"404", "422", "429", "503"}
ENDPOINTS = {
    ("post", "/v1/conversations/end"): {"200", "201"} | READS_A_BODY,
    ("post", "/v1/activities/suggest"): {"200"} | READS_A_BODY,
    ("post", SCORE + "/{conversation_id}"): {"200"} | READS_AN_ID,
    ("post", SCORE + "-and-update/{conversation_id}"): {"200"} | READS_AN_ID,
    ("get", "/v1/friendship_status/{user_id}"): {"200"} | READS_AN_ID,
    ("get", "/v1/livez"): {"200"},
    ("get", "/v1/health"): {"200", "503"},
}


@pytest.fixture(scope="module")
def operations():
    paths = create_app(Settings(instrument=False)).openapi()["paths"]
    return {(verb, path): told for path, verbs in paths.items() for verb, told in verbs.items()}


def test_every_endpoint_is_documented_with_all_its_answers(operations):
    assert {key: set(told["responses"]) for key, told in operations.items()} == ENDPOINTS


def test_every_endpoint_says_what_it_is_for(operations):
    for told in operations.values():
        assert told["summary"]
        assert told["description"]
        assert told["tags"]


def test_every_error_but_that_of_health_is_a_problem_detail(operations):
    for (_, path), told in operations.items():
        for status, answer in told["responses"].items():
            if status >= "400" and path != "/v1/health":
                assert set(answer["content"]) == {"application/problem+json"}
                assert answer["description"]
