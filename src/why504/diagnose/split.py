"""Splitting: victims of one burst that nothing connects may have causes of their own.

Two victims belong together if they waited for the same thing, or their time came to rest on the
same; whoever is connected to both joins two groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from why504.diagnose.blame import leaf_key
from why504.model import Victim


def connected(victims: Sequence[Victim]) -> list[list[int]]:
    """Return the numbers of the victims, those that are connected together, largest group first."""
    parent: dict[Hashable, Hashable] = {}

    def root(thing: Hashable) -> Hashable:
        while (above := parent.setdefault(thing, thing)) != thing:
            parent[thing] = parent[above]
            thing = above
        return thing

    for number, victim in enumerate(victims):
        for thing in (leaf_key(victim.leaf), ("in", victim.blocked_in)):
            parent[root(thing)] = root(number)
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number in range(len(victims)):
        groups[root(number)].append(number)
    return sorted(groups.values(), key=lambda group: (-len(group), group[0]))
