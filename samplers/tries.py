"""Tries of beginnings: what adaptive rejection knows of a language under a causal model.

A node stands for the tokens of a text so far. It holds what the model writes next, as weights p^power of the likeliest
tokens one by one and of all others in one lump, and how much of that may still be part of a text: a subtree of which
nothing is known counts in full, one that is proven dead counts nothing, and one that has been explored counts what its
own node adds up to. The sum at the root bounds the mass of the language from above.

Texts are drawn from the bound: a walk goes down by the weights; where it comes to a node whose mass was thought to be 1
and is less, it is refused with the probability that is missing. A walk so comes to a text x with probability
p(x)^power / bound, whatever has been explored.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from textsearch.objective import Objective

Floats = NDArray[np.float64]


@final
class Node:
    """A beginning of texts.

    Attributes:
        tokens: (K,) that may come next, held one by one.
        weights: (K,) p^power of each, 0 for what is proven dead.
        shares: (K,) how much of the subtree of each may be a text, 1 where nothing is known.
        tail: the sum of p^power of all other tokens.
        believed: what the walk thinks that the node adds up to before it comes to it.
        explored: whether it is a part of the bound.
        children: the nodes below.
        dead: tokens that are proven to lead to no text.
        energy: of the text that ends here, if it was asked for; nats.
    """

    __slots__ = (
        "believed",
        "children",
        "cumulative",
        "dead",
        "energy",
        "explored",
        "shares",
        "tail",
        "tokens",
        "weights",
    )

    def __init__(self, tokens: NDArray[np.int64], weights: Floats, tail: float) -> None:
        self.tokens, self.weights, self.tail = tokens, weights, tail
        self.shares = np.ones_like(weights)
        self.cumulative = weights.cumsum()
        self.believed = 1.0
        self.explored = False
        self.children: dict[int, Node] = {}
        self.dead: set[int] = set()
        self.energy: float | None = None

    @property
    def total(self) -> float:
        """What the node adds up to."""
        return self.held + self.tail

    @property
    def held(self) -> float:
        """What the tokens add up to that are held one by one."""
        return float(self.cumulative[-1]) if len(self.cumulative) else 0.0

    def pick(self, uniform: float) -> tuple[int, float]:
        """The index of a token, and how far within it; K for one of the others, K + 1 for none: refused."""
        target = uniform * self.believed
        at = int(np.searchsorted(self.cumulative, target, side="right"))
        if at < len(self.tokens):
            return at, 0.0
        rest = target - self.held
        return (at, rest / self.tail) if rest < self.tail else (at + 1, 0.0)

    def kill(self, at: int) -> None:
        """A token that is held is proven to lead to no text."""
        self.weights[at] = 0.0
        self.dead.add(int(self.tokens[at]))

    def add_up(self) -> None:
        """Make the node a part of the bound."""
        self.cumulative = (self.weights * self.shares).cumsum()
        self.believed, self.explored = self.total, True


@final
@dataclass(eq=False)
class Trie:
    """That of one input.

    Attributes:
        prompt: what the model reads first.
        number: of the input.
        root: the node of the empty text.
        nodes: how many there are.
        kept: how many of them are never forgotten.
        explored: whether the bound is settled.
    """

    prompt: str
    number: int
    root: Node | None = None
    nodes: int = 0
    kept: int = 0
    explored: bool = False

    def settle(self) -> None:
        """Let the bound be as it is from now on."""
        self.explored, self.kept = True, self.nodes

    def forget(self) -> None:
        """Drop all nodes that are no part of the bound."""
        waiting = [] if self.root is None else [self.root]
        while waiting:
            node = waiting.pop()
            node.children = {token: child for token, child in node.children.items() if child.explored}
            waiting += node.children.values()
        self.nodes = self.kept


Place = tuple[Trie, tuple[int, ...]]
"""A beginning of one input: its trie, and its tokens."""


@final
@dataclass(eq=False)
class Tries:
    """The tries of all inputs that a sampler has met, under each objective; the oldest give way.

    Attributes:
        most: nodes of one trie beyond those of its bound; all of these are forgotten where there are more.
    """

    most: int
    lock: Any = field(default_factory=threading.RLock, repr=False)
    _known: OrderedDict[Hashable, Trie] = field(default_factory=OrderedDict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy knows nothing."""
        return Tries, (self.most,)

    def of(self, objective: Objective, number: int, prompt: str) -> Trie:
        """The trie of an input, which may be new."""
        try:
            hash(objective)
            key: Hashable = (objective, number, prompt)
        except TypeError:
            key = (_Same(objective), number, prompt)
        trie = self._known.setdefault(key, Trie(prompt, number))
        self._known.move_to_end(key)
        while len(self._known) > _TRIES:
            self._known.popitem(last=False)
        if trie.explored and trie.nodes - trie.kept > self.most:
            trie.forget()
        return trie


_TRIES = 1024


@final
@dataclass(frozen=True, eq=False)
class _Same:
    """A thing that is equal to itself alone."""

    thing: object

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.thing is self.thing
