"""Exploring tries of beginnings: the bound of adaptive rejection is settled by what weighs most, in wide passes.

What a trie says of the mass of a language is the mass of its texts, which are known, and that of beginnings of which
nothing is known. The heaviest of these are read first, many side by side: best-first, without a random number. Each
such round takes off what turns out to be dead, and is over when little is left that is not known. Of a small language
nothing is left in the end: then the bound is its mass, and each draw is taken.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from samplers.trie_walks import Source
from samplers.tries import Node, Place, Trie

WIDE = 64
"""Beginnings of one trie that are read side by side: a pass over few costs nearly as much."""

_UNKNOWN = 0.25  # share of the bound that may stay unknown

Forbidden = Callable[[Sequence[tuple[Place, Node]]], list[bool]]
"""Says of texts, each as a place with its node, which are none of the language."""


@final
@dataclass(frozen=True, order=True)
class _Leaf:
    """A beginning that has not been read; the heaviest comes first.

    Attributes:
        negative: its mass, times -1.
        row: its tokens.
        parent: the node above; None for the empty text.
        at: where its last token is there.
    """

    negative: float
    row: tuple[int, ...]
    parent: Node | None = field(compare=False)
    at: int = field(compare=False)

    @property
    def mass(self) -> float:
        """p^power of the beginning."""
        return -self.negative


@final
@dataclass(eq=False)
class _Front:
    """What is known of one trie.

    Attributes:
        trie: that is explored.
        waiting: a heap of what may be read next.
        made: nodes with what they have taken the place of, parents first.
        unknown: the mass of all of which nothing is known, lumps included.
        texts: the mass of texts.
    """

    trie: Trie
    waiting: list[_Leaf] = field(default_factory=lambda: [_Leaf(-1.0, (), None, 0)])
    made: list[tuple[Node, _Leaf]] = field(default_factory=list)
    unknown: float = 1.0
    texts: float = 0.0

    def goes_on(self, most: int) -> bool:
        """Whether a further round is worth it."""
        enough = self.unknown <= _UNKNOWN * (self.unknown + self.texts)
        return bool(self.waiting) and len(self.made) < most and not enough

    def heaviest(self, source: Source, most: int) -> list[_Leaf]:
        """Those to be read next; what is proven dead is taken off."""
        found: list[_Leaf] = []
        wanted = min(WIDE, most - len(self.made))
        # a pass is worth it for the heaviest; what is far lighter than that may never be needed
        least = self.waiting[0].mass / WIDE
        while len(found) < wanted:
            asked: list[_Leaf] = []
            while self.waiting and len(found) + len(asked) < wanted and self.waiting[0].mass >= least:
                asked.append(heapq.heappop(self.waiting))
            if not asked:
                break
            for leaf, gone in zip(asked, source.dead([(self.trie, leaf.row) for leaf in asked]), strict=True):
                if gone and leaf.parent is not None:
                    leaf.parent.shares[leaf.at] = 0.0
                    leaf.parent.dead.add(leaf.row[-1])
                    self.unknown -= leaf.mass
                else:
                    found.append(leaf)
        return found

    def put(self, leaf: _Leaf, node: Node, end: int) -> None:
        """A node in the place of a beginning."""
        if leaf.parent is None:
            self.trie.root = node
        else:
            leaf.parent.children[leaf.row[-1]] = node
        self.trie.nodes += 1
        self.made.append((node, leaf))
        self.unknown += leaf.mass * (node.tail - 1.0)
        for at in np.flatnonzero(node.weights * node.shares).tolist():
            mass, token = leaf.mass * float(node.weights[at]), int(node.tokens[at])
            if token == end:
                self.texts += mass
            else:
                self.unknown += mass
                heapq.heappush(self.waiting, _Leaf(-mass, (*leaf.row, token), node, at))

    def settle(self) -> None:
        """Add up, from the leaves to the root."""
        for node, leaf in reversed(self.made):
            node.add_up()
            if leaf.parent is not None:
                leaf.parent.shares[leaf.at] = node.total
        self.trie.settle()


def explore(source: Source, tries: Sequence[Trie], most: int, forbidden: Forbidden) -> None:
    """Settle the bounds of tries that are new, side by side; each is read as it would be alone.

    Args:
        source: makes nodes.
        tries: all different.
        most: beginnings to read of one trie.
        forbidden: judges texts.
    """
    for trie in tries:
        # what an exploration that was broken off has left would make another bound
        trie.root, trie.nodes = None, 0
    fronts, end = [_Front(trie) for trie in tries], source.lm.eos
    while going := [front for front in fronts if front.goes_on(most)]:
        chosen = [(front, leaf) for front in going for leaf in front.heaviest(source, most)]
        places = [(front.trie, leaf.row) for front, leaf in chosen]
        nodes = source.nodes(places)
        texts = [
            (place, node)
            for place, node in zip(places, nodes, strict=True)
            if (node.weights[node.tokens == end] > 0).any()
        ]
        for (_, node), gone in zip(texts, forbidden(texts), strict=True):
            if gone:
                node.shares[node.tokens == end] = 0.0
        for (front, leaf), node in zip(chosen, nodes, strict=True):
            front.put(leaf, node, end)
    for front in fronts:
        front.settle()
