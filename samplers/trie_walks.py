"""Walks down tries of beginnings, side by side, and the nodes that they come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samplers.tries import Floats, Node, Place, Trie
from textsearch.beginnings import Beginnings
from textsearch.living import living_by
from textsearch.models.protocols import TokenLM
from textsearch.models.stray_pairs import strays
from textsearch.objective import Objective, impossible_by, next_allowed_by

Bools = NDArray[np.bool_]

_FEW = 512  # tokens that may be all that a node holds
_LIKELY = 64  # tokens that are held one by one where there are more
_ASKED = 32  # of them whose death is asked for when a node is new
_ROWS = 64  # log-probabilities of the whole vocabulary, in float64, at once


@final
@dataclass(frozen=True, eq=False)
class Source:
    """Makes nodes: what the model writes next, less what is proven dead.

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

    def nodes(self, places: Sequence[Place]) -> list[Node]:
        """New nodes, less the tokens that are proven dead: all of those where there is a proof for all, else the
        likeliest.
        """
        found: list[Node] = []
        for first in range(0, len(places), _ROWS):
            part = places[first : first + _ROWS]
            living = self._living(part)
            if living is None:
                found += self._of_all(part, None)
                continue
            # of each place by itself, whatever is asked beside it
            few = living.sum(1) <= _FEW
            made: dict[int, Node] = {}
            for which, of in ((few.nonzero()[0], self._of_few), ((~few).nonzero()[0], self._of_all)):
                if len(which):
                    made |= zip(which.tolist(), of([part[at] for at in which], living[which]), strict=True)
            found += [made[at] for at in range(len(part))]
        return found

    def _of_few(self, places: Sequence[Place], living: Bools) -> list[Node]:
        """Nodes that hold all tokens one by one that may not be dead."""
        end, tokens = self.lm.eos, [row.nonzero()[0] for row in living]
        kept = [[*(token for token in own.tolist() if token != end), *[end] * (end in own)] for own in tokens]
        laws = self._law_of(places, kept)
        return [
            Node(np.array(own, dtype=np.int64), np.exp(self.power * np.array(law)), 0.0)
            for own, law in zip(kept, laws, strict=True)
        ]

    def _of_all(self, places: Sequence[Place], living: Bools | None) -> list[Node]:
        """Nodes that hold the likeliest tokens one by one, and all others in a lump."""
        laws = self._laws(places, living)
        likely = laws.topk(min(_LIKELY, laws.shape[1])).indices
        nodes = []
        for law, top in zip(laws.cpu().numpy(), likely.cpu().numpy(), strict=True):
            top = top[law[top] > 0]
            tokens = top if self.lm.eos in top else np.append(top, self.lm.eos)
            lump = float(law.sum() - law[tokens].sum())
            nodes.append(Node(tokens.astype(np.int64), law[tokens], max(0.0, lump) if len(top) == _LIKELY else 0.0))
        self._look_ahead(nodes, self._beginnings(places), hinted=living is None)
        return nodes

    def among_others(self, asked: Sequence[tuple[Node, Place, float]]) -> list[tuple[int, float] | None]:
        """A token of those that a node does not hold one by one, and its weight; None for none, by rounding.

        Args:
            asked: nodes, where they are, and how far within their lump.
        """
        found: list[tuple[int, float] | None] = []
        for first in range(0, len(asked), _ROWS):
            part = asked[first : first + _ROWS]
            places = [place for _, place, _ in part]
            laws = self._laws(places, self._living(places)).cpu().numpy()
            for (node, _, rest), others in zip(part, laws, strict=True):
                others[node.tokens] = 0.0
                cumulative = others.cumsum()
                token = int(np.searchsorted(cumulative, rest * cumulative[-1], side="right"))
                found.append((token, float(others[token])) if token < len(others) else None)
        return found

    def dead(self, places: Sequence[Place]) -> list[bool]:
        """Which beginnings are proven dead."""
        return self._dead([list(row) for _, row in places], [trie.number for trie, _ in places])

    def _dead(self, rows: Sequence[Sequence[int]], numbers: Sequence[int]) -> list[bool]:
        beginnings = Beginnings(self.lm.vocabulary, self.lm.eos, rows, numbers)
        found = impossible_by(self.objective, beginnings) if rows else None
        return [False] * len(rows) if found is None else [bool(one) for one in found.tolist()]

    def _look_ahead(self, nodes: Sequence[Node], beginnings: Beginnings, *, hinted: bool) -> None:
        """Take off what is proven dead of the likeliest tokens, if `hinted` but for those that a mask says are right.

        Where all tokens were judged at once few are dead, and a mask costs more than it saves.
        """
        mask = next_allowed_by(self.objective, beginnings) if hinted else None
        hint, rows = None if mask is None else mask.cpu().numpy(), beginnings.rows
        asked = [
            (at, place, int(token))
            for at, node in enumerate(nodes)
            for place, token in enumerate(node.tokens[:_ASKED])
            if node.weights[place] > 0 and token != self.lm.eos and not (hint is not None and hint[at, token])
        ]
        longer, numbers = [[*rows[at], token] for at, _, token in asked], [beginnings.numbers[at] for at, _, _ in asked]
        for (at, place, _), gone in zip(asked, self._dead(longer, numbers), strict=True):
            if gone:
                nodes[at].kill(place)
        for node in nodes:
            node.cumulative = node.weights.cumsum()

    def _living(self, places: Sequence[Place]) -> Bools | None:
        """(K, V) bool, what is not proven dead of all tokens; None where nothing is proven."""
        living = living_by(self.objective, self._beginnings(places))
        if living is None:
            return None
        found: Bools = (living & self._may(places)).cpu().numpy()
        return found

    def _may(self, places: Sequence[Place]) -> Tensor:
        """(K, V) bool, what texts may hold and may be spelt with, and the end; a text that is full may but end."""
        may = self.lm.vocabulary.allowed.cpu().repeat(len(places), 1)
        may[torch.tensor([len(row) >= self.max_length for _, row in places])] = False
        stray = strays(self._beginnings(places))
        if stray is not None:
            may &= torch.from_numpy(~stray)
        # the end is a special token, which a text may not hold
        may[:, self.lm.eos] = True
        return may

    def _laws(self, places: Sequence[Place], living: Bools | None) -> Tensor:
        """(K, V) p^power of what may come next."""
        may = self._may(places) if living is None else torch.from_numpy(living)
        law = self.lm.log_probs_after(*self._asked(places)).to(torch.float64)
        return (self.power * law).exp().masked_fill(~may.to(law.device), 0.0)

    def _law_of(self, places: Sequence[Place], tokens: Sequence[Sequence[int]]) -> Sequence[Sequence[float]]:
        """log p of some tokens after each place."""
        rows, prompts, more = self._asked(places)
        if hasattr(self.lm, "log_probs_of"):
            found: list[list[float]] = self.lm.log_probs_of(rows, prompts, tokens, more)
            return found
        laws = self.lm.log_probs_after(rows, prompts, more).to(torch.float64).cpu()
        return [law[torch.tensor(own, dtype=torch.int64)].tolist() for law, own in zip(laws, tokens, strict=True)]

    def _asked(self, places: Sequence[Place]) -> tuple[list[list[int]], list[str], int]:
        """What the model is asked for: rows, prompts, and by how much a row may still grow."""
        rows = [list(row) for _, row in places]
        return rows, [trie.prompt for trie, _ in places], max(self.max_length - len(row) for row in rows)

    def _beginnings(self, places: Sequence[Place]) -> Beginnings:
        rows, numbers = [list(row) for _, row in places], [trie.number for trie, _ in places]
        return Beginnings(self.lm.vocabulary, self.lm.eos, rows, numbers)


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
    def place(self) -> Place:
        """Where it is."""
        return self.trie, tuple(self.row)

    @property
    def log_weight(self) -> float:
        """power * log p of what was written."""
        return sum(math.log(weight) for _, weight in self.steps)


def walk_down(source: Source, tries: Sequence[Trie], uniform: Floats) -> list[Walk]:
    """A walk down each trie, side by side, by numbers (R, max_length + 1) in (0, 1)."""
    walks = [Walk(trie) for trie in tries]
    going = list(range(len(walks)))
    for depth in range(source.max_length + 1):
        if not going:
            break
        _come(source, [walks[i] for i in going])
        lumps: list[tuple[Walk, float]] = []
        for i in going:
            walk, node = walks[i], walks[i].nodes[-1]
            at, rest = node.pick(float(uniform[i, depth]))
            if at < len(node.tokens):
                walk.steps.append((int(node.tokens[at]), float(node.weights[at])))
            elif at == len(node.tokens):
                lumps.append((walk, rest))
        others = source.among_others([(walk.nodes[-1], walk.place, rest) for walk, rest in lumps])
        for (walk, _), step in zip(lumps, others, strict=True):
            if step is not None:
                walk.steps.append(step)
        on = []
        for i in going:
            walks[i].complete = len(walks[i].steps) > depth and walks[i].steps[-1][0] == source.lm.eos
            if len(walks[i].steps) > depth and not walks[i].complete:
                on.append(i)
        _prove(source, [walks[i] for i in on])
        going = [i for i in on if not walks[i].dead]
    return walks


def _come(source: Source, walks: Sequence[Walk]) -> None:
    """Put the node that each walk has come to behind the others, made if it is new."""
    new: dict[tuple[int, tuple[int, ...]], list[Walk]] = {}
    for walk in walks:
        node = walk.nodes[-1].children.get(walk.steps[-1][0]) if walk.nodes else walk.trie.root
        if node is None:
            new.setdefault((id(walk.trie), tuple(walk.row)), []).append(walk)
        else:
            walk.nodes.append(node)
    for same, node in zip(new.values(), source.nodes([same[0].place for same in new.values()]), strict=True):
        same[0].trie.nodes += 1
        for walk in same:
            if walk.nodes:
                walk.nodes[-1].children[walk.steps[-1][0]] = node
            else:
                walk.trie.root = node
            walk.nodes.append(node)


def _prove(source: Source, walks: Sequence[Walk]) -> None:
    """Ask of the beginnings that are new whether they are dead."""
    asked = []
    for walk in walks:
        node, (token, _) = walk.nodes[-1], walk.steps[-1]
        walk.dead = token in node.dead
        if not walk.dead and token not in node.children:
            asked.append(walk)
    for walk, gone in zip(asked, source.dead([walk.place for walk in asked]), strict=True):
        if gone:
            walk.dead = True
            walk.nodes[-1].dead.add(walk.steps[-1][0])
