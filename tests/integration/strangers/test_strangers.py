"""Services of other people's habits, each hung in its way, explained from telemetry alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.strangers.play import play
from lab.strangers.rig import Rig
from lab.strangers.table import RABBITMQ, STRANGERS, Stranger

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rig(tmp_path_factory, nginx_binary, postgres_binaries) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig.start(tmp_path_factory.mktemp("strangers"), stack)


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda each: each.id)
def test_the_hang_of_a_stranger_is_told_with_its_line(
    stranger: Stranger, rig: Rig, request: pytest.FixtureRequest
):
    if RABBITMQ in stranger.needs.values():
        rig.peers[RABBITMQ] = request.getfixturevalue("rabbitmq").url

    told = play(stranger, rig)

    assert not told.problems, told.sentence


def test_strangers_know_nothing_of_why504_but_how_it_is_switched_on():
    for stranger in STRANGERS:
        lines = stranger.source.read_text(encoding="utf-8").splitlines()
        said = [line.strip() for line in lines if "why504" in line]
        assert said[0] == "import why504"
        assert len(said) == 2
        assert said[1].startswith("why504.instrument(")
