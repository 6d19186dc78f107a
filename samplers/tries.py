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

import math
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textsearch.beginnings import Beginnings
from textsearch.living import living_by
from textsearch.models.protocols import TokenLM
from textsearch.objective import Objective, impossible_by, next_allowed_by

Floats = NDArray[np.float64]

_LIKELY = 64  # tokens of a node that are held one by one
_ASKED = 32  # of them whose death is asked for when a node is new
_ROWS = 64  # log-probabilities of the whole vocabulary, in float64, at once


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
        return float(self.cumulative[-1]) + self.tail

    def pick(self, uniform: float) -> tuple[int, float]:
        """The index of a token, and how far within it; K for one of the others, K + 1 for none: refused."""
        target = uniform * self.believed
        at = int(np.searchsorted(self.cumulative, target, side="right"))
        if at < len(self.tokens):
            return at, 0.0
        rest = target - float(self.cumulative[-1])
        return (at, rest / self.tail) if rest < self.tail else (at + 1, 0.0)

    def tell(self, token: int, weight: float, share: float) -> None:
        """How much of the subtree of a token may be a text."""
        found = np.flatnonzero(self.tokens == token)
        if len(found):
            self.shares[found[0]] = share
        else:
            self.tokens = np.append(self.tokens, token)
            self.weights = np.append(self.weights, weight)
            self.shares = np.append(self.shares, share)
            self.tail = max(0.0, self.tail - weight)

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


@final
@dataclass(eq=False)
class Walk:
    """One way down.

    Attributes:
        trie: that it goes down.
        nodes: that it has come to.
        steps: the token taken from each, with its p^power; one less than there are nodes where it was refused.
        complete: whether it has come to the end of a text.
        dead: whether its last token is proven to lead to no text.
    """

    trie: Trie
    nodes: list[Node] = field(default_factory=list)
    steps: list[tuple[int, float]] = field(default_factory=list)
    complete: bool = False
    dead: bool = False

    @property
    def row(self) -> list[int]:
        """The tokens, without the end."""
        tokens = [token for token, _ in self.steps]
        return tokens[:-1] if self.complete else tokens

    @property
    def log_weight(self) -> float:
        """power * log p of what was written."""
        return sum(math.log(weight) for _, weight in self.steps)

    def explored(self, forbidden: bool) -> None:
        """Make what the walk has met a part of the bound; `forbidden` says that its text, if complete, is none."""
        share = 0.0 if self.dead or (self.complete and forbidden) else 1.0
        for depth in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[depth]
            if depth < len(self.steps):
                node.tell(*self.steps[depth], share)
            node.add_up()
            share = node.total


@final
@dataclass(frozen=True, eq=False)
class Walker:
    """Goes down tries.

    Attributes:
        lm: whose probabilities the weights are.
        objective: proves what is dead.
        power: of the probabilities.
        max_length: tokens of a text.
    """

    lm: TokenLM
    objective: Objective
    power: float
    max_length: int

    def walk(self, tries: Sequence[Trie], uniform: Floats) -> list[Walk]:
        """A walk down each trie, side by side, by numbers (R, max_length + 1) in (0, 1)."""
        walks = [Walk(trie) for trie in tries]
        going = list(range(len(walks)))
        for place in range(self.max_length + 1):
            if not going:
                break
            self._come([walks[i] for i in going])
            lumps: list[tuple[int, float]] = []
            taken: dict[int, tuple[int, float]] = {}
            for i in going:
                node = walks[i].nodes[-1]
                at, rest = node.pick(float(uniform[i, place]))
                if at < len(node.tokens):
                    taken[i] = int(node.tokens[at]), float(node.weights[at])
                elif at == len(node.tokens):
                    lumps.append((i, rest))
            taken |= self._among_others(walks, lumps)
            on = []
            for i in going:
                if i not in taken:
                    continue
                walks[i].steps.append(taken[i])
                if taken[i][0] == self.lm.eos:
                    walks[i].complete = True
                else:
                    on.append(i)
            self._prove([walks[i] for i in on])
            going = [i for i in on if not walks[i].dead]
        return walks

    def _come(self, walks: Sequence[Walk]) -> None:
        """Put the node that each walk has come to behind the others, made if it is new."""
        new: dict[tuple[int, tuple[int, ...]], list[Walk]] = {}
        for walk in walks:
            node = walk.nodes[-1].children.get(walk.steps[-1][0]) if walk.nodes else walk.trie.root
            if node is None:
                new.setdefault((id(walk.trie), tuple(walk.row)), []).append(walk)
            else:
                walk.nodes.append(node)
        for same, node in zip(new.values(), self._made([same[0] for same in new.values()]), strict=True):
            same[0].trie.nodes += 1
            for walk in same:
                if walk.nodes:
                    walk.nodes[-1].children[walk.steps[-1][0]] = node
                else:
                    walk.trie.root = node
                walk.nodes.append(node)

    def _made(self, walks: Sequence[Walk]) -> list[Node]:
        """New nodes; the likeliest tokens are asked for whether they are dead."""
        found: list[Node] = []
        for first in range(0, len(walks), _ROWS):
            part = walks[first : first + _ROWS]
            laws = self._laws(part)
            likely = laws.topk(min(_LIKELY, laws.shape[1])).indices
            nodes = []
            for law, top in zip(laws.cpu().numpy(), likely.cpu().numpy(), strict=True):
                top = top[law[top] > 0]
                tokens = top if self.lm.eos in top else np.append(top, self.lm.eos)
                lump = float(law.sum() - law[tokens].sum())
                nodes.append(Node(tokens.astype(np.int64), law[tokens], max(0.0, lump) if len(top) == _LIKELY else 0.0))
            self._look_ahead(nodes, self._beginnings(part))
            found += nodes
        return found

    def _look_ahead(self, nodes: Sequence[Node], beginnings: Beginnings) -> None:
        """Take off what is proven dead of the likeliest tokens, but for those that a mask says are right."""
        # where all tokens were judged at once few are dead, and a mask costs more than it saves
        mask = (
            None if living_by(self.objective, beginnings) is not None else next_allowed_by(self.objective, beginnings)
        )
        hint, rows = None if mask is None else mask.cpu().numpy(), beginnings.rows
        asked = [
            (at, place, int(token))
            for at, node in enumerate(nodes)
            for place, token in enumerate(node.tokens[:_ASKED])
            if node.weights[place] > 0 and token != self.lm.eos and not (hint is not None and hint[at, token])
        ]
        if not asked:
            return
        longer, numbers = [[*rows[at], token] for at, _, token in asked], [beginnings.numbers[at] for at, _, _ in asked]
        dead = impossible_by(self.objective, Beginnings(self.lm.vocabulary, self.lm.eos, longer, numbers))
        for (at, place, token), gone in zip(asked, [] if dead is None else dead.tolist(), strict=dead is not None):
            if gone:
                nodes[at].weights[place] = 0.0
                nodes[at].dead.add(token)
        for node in nodes:
            node.cumulative = node.weights.cumsum()

    def _laws(self, walks: Sequence[Walk]) -> Tensor:
        """(K, V) p^power of what may come next; a text that is full may but end."""
        rows = [walk.row for walk in walks]
        more = max(self.max_length - len(row) for row in rows)
        law = self.lm.log_probs_after(rows, [walk.trie.prompt for walk in walks], more).to(torch.float64)
        may = self.lm.vocabulary.allowed.to(law.device).repeat(len(rows), 1)
        may[torch.tensor([len(row) >= self.max_length for row in rows], device=law.device)] = False
        # the end is a special token, which a text may not hold
        may[:, self.lm.eos] = True
        living = living_by(self.objective, self._beginnings(walks))
        if living is not None:
            may &= living.to(law.device)
        return (self.power * law).exp().masked_fill(~may, 0.0)

    def _beginnings(self, walks: Sequence[Walk]) -> Beginnings:
        rows, numbers = [walk.row for walk in walks], [walk.trie.number for walk in walks]
        return Beginnings(self.lm.vocabulary, self.lm.eos, rows, numbers)

    def _among_others(self, walks: Sequence[Walk], lumps: Sequence[tuple[int, float]]) -> dict[int, tuple[int, float]]:
        """A token of those that a node does not hold one by one, and its weight, for each walk that has to take one."""
        found: dict[int, tuple[int, float]] = {}
        for first in range(0, len(lumps), _ROWS):
            part = lumps[first : first + _ROWS]
            for (i, rest), law in zip(part, self._laws([walks[i] for i, _ in part]).cpu().numpy(), strict=True):
                others = law.copy()
                others[walks[i].nodes[-1].tokens] = 0.0
                cumulative = others.cumsum()
                token = int(np.searchsorted(cumulative, rest * cumulative[-1], side="right"))
                if token < len(law):
                    found[i] = token, float(law[token])
        return found

    def _prove(self, walks: Sequence[Walk]) -> None:
        """Ask of the beginnings that are new whether they are dead."""
        asked = []
        for walk in walks:
            node, (token, _) = walk.nodes[-1], walk.steps[-1]
            walk.dead = token in node.dead
            if not walk.dead and token not in node.children:
                asked.append(walk)
        if not asked:
            return
        dead = impossible_by(self.objective, self._beginnings(asked))
        for walk, gone in zip(asked, [] if dead is None else dead.tolist(), strict=dead is not None):
            if gone:
                walk.dead = True
                walk.nodes[-1].dead.add(walk.steps[-1][0])
