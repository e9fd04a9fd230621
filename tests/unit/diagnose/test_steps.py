import math
import random
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from why504.diagnose.steps import Piece, Presence, gaps_between, last_finishing, share_out

interval = st.tuples(st.integers(0, 1000), st.integers(1, 300)).map(lambda p: (p[0], p[0] + p[1]))


def held(holds):
    return Presence.of(*(np.array([row[i] for row in holds], np.int64) for i in (0, 1)))


@given(st.lists(interval, max_size=15), st.lists(interval, min_size=1, max_size=15))
def test_what_holders_owe_and_what_nobody_held_is_what_was_waited(holds, waits):
    pieces = [Piece(a, b, (b - a) * 2.0) for a, b in waits]

    shared = share_out(pieces, held(holds))

    owed = math.fsum(shared.owed_at(b) - shared.owed_at(a) for a, b in holds)
    unheld = math.fsum(p.seconds for p in shared.unheld)
    assert math.isclose(owed + unheld, math.fsum(p.seconds for p in pieces), rel_tol=1e-9)


def test_two_holders_share_what_they_hold_together():
    shared = share_out([Piece(0, 100, 100.0)], held([(0, 100), (50, 100)]))

    assert shared.owed_at(100) - shared.owed_at(0) == 75.0
    assert shared.owed_at(100) - shared.owed_at(50) == 25.0


@given(st.lists(interval, max_size=12), interval)
def test_the_path_takes_at_each_moment_the_open_child_that_ends_last(children, parent):
    named = [(n, a, b) for n, (a, b) in enumerate(children)]

    taken = last_finishing(named, *parent)

    for time in random.Random(len(children)).sample(range(*parent), min(20, parent[1] - parent[0])):
        open_ends = [b for _, a, b in named if a <= time < b]
        chosen = [named[n][2] for n, a, b in taken if a <= time < b]
        assert chosen == ([max(open_ends)] if open_ends else [])


@given(st.lists(interval, max_size=12), interval)
def test_path_and_gaps_tile_the_parent(children, parent):
    taken = last_finishing([(n, a, b) for n, (a, b) in enumerate(children)], *parent)
    pieces = sorted([(a, b) for _, a, b in taken])
    pieces = sorted(pieces + list(gaps_between(pieces, *parent)))

    assert pieces[0][0] == parent[0]
    assert pieces[-1][1] == parent[1]
    assert all(left[1] == right[0] for left, right in pairwise(pieces))
