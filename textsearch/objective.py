"""Objectives: energies over texts, E(x) = -log rho(x), and their sums.

Low is good and +inf forbids. A sum is evaluated in stages, hard constraints first and language models last. A row that
a stage forbids goes no further, so a broken constraint never costs a model pass. Where rows have limits, a row that a
stage shows to lie above its limit goes no further either: the later terms could only add to its energy.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from operator import and_, or_
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.checks import keep, real, sequence, string
from textsearch.kinds import OBJECTIVE, instance, nature, shown
from textsearch.marks import counts
from textsearch.models.usage import charged_to
from textsearch.outline import Outline
from textsearch.spelling import canonical
from textsearch.wrong_terms import instead_of, no_energy


class Cost(IntEnum):
    """When a term is evaluated: cheap terms first, so that expensive ones see fewer rows."""

    HARD = 0
    """Tensor operations or string tests that answer 0 or +inf."""
    CHEAP = 1
    """No model pass."""
    MODEL = 2
    """One model pass."""
    HEAVY = 3
    """Several model passes."""


@final
@dataclass(frozen=True, eq=False)
class Limit:
    """Energies above these need not be worked out, because a sampler would refuse them anyway.

    Attributes:
        energy: (B,) float64 nats.
        before: the B texts that were edited; a broken constraint is most likely where the new texts differ from them.
    """

    energy: Tensor
    before: Batch

    def rows(self, index: Tensor) -> Limit:
        """The rows that `index` picks, in its order."""
        return Limit(self.energy[index], self.before.rows(index))


class Objective(ABC):
    """An energy over texts. `a + 5.0 * b` is an objective too, and so is `sum([a, b])`."""

    __array_ufunc__ = None
    """Numbers of numpy leave the product to the objective."""

    @property
    def name(self) -> str:
        """The term's name in results."""
        return type(self).__name__.lower()

    @property
    def cost(self) -> Cost:
        """The stage of evaluation."""
        return Cost.CHEAP

    @abstractmethod
    def energy(self, batch: Batch) -> Tensor:
        """(B,) float64 energies in nats; +inf forbids the row. Depends on a row's own text and input only."""

    @property
    def lower_bound(self) -> float:
        """No text has a lower energy than this; -inf if no bound is known."""
        return -math.inf

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        """(B,) energies: those of `energy`, bit for bit, within the limit, and any value above the limit otherwise."""
        return self.energy(batch)

    def check(self, batch: Batch) -> None:  # noqa: B027 (optional, not abstract)
        """Raise a `ValueError` if no text can satisfy this objective for the inputs of `batch`; runs no model."""

    def freeze(self, batch: Batch) -> Batch:
        """`batch` with the tokens frozen that this objective wants to keep; by default none."""
        return batch

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
        """(K, V) bool, which tokens could stand at `positions` (K,) of `rows` (K,); None where nothing is known.

        A hint for proposals; see `textsearch.models.constrained`. It depends on the other tokens of a row and its input
        alone, never on the token at the place itself, which may be a mask. False says that the text with that token
        there is forbidden; True says nothing.
        """
        return None

    def allowed_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool, which tokens, the end among them, may follow each beginning; None where nothing is known.

        A hint for proposals that write from left to right, as a mask engine gives it: it may be too narrow or too wide.
        """
        return None

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        """(K,) bool; True proves that every text that begins so is forbidden; None where nothing can be proven.

        No hint: samplers leave such beginnings out for good. False says nothing.
        """
        return None

    def outline(self, number: int) -> Outline:
        """What a text for the input of this number must hold, for a run without starting texts; by default nothing."""
        return Outline()

    def concerns(self, number: int) -> bool:
        """Whether this term applies to input `number`; elsewhere its energy is 0 and results leave it out."""
        return True

    @property
    def parts(self) -> tuple[tuple[float, Objective], ...]:
        """The weighted terms of a sum; any other objective is its own single term."""
        return ((1.0, self),)

    @final
    def __add__(self, other: Objective) -> Objective:
        if OBJECTIVE.of(other):
            return Sum((*self.parts, *other.parts))
        raise TypeError(
            f"{self.name!r} + {shown(other)} adds {nature(other)} to an objective: only objectives add up; "
            f"{instead_of(other)}"
        )

    @final
    def __radd__(self, other: object) -> Objective:
        if type(other) is int and other == 0:  # what the builtin sum begins with
            return self
        raise TypeError(
            f"{shown(other)} + {self.name!r} adds an objective to {nature(other)}: only objectives add up; "
            f"{instead_of(other)}"
        )

    @final
    def __mul__(self, weight: float) -> Objective:
        if nature(weight) != "a number":
            raise TypeError(f"{self.name!r} * {shown(weight)} weighs an objective with {nature(weight)}: pass a number")
        # a weight of 0 would turn a forbidden row into 0 * inf = nan
        must = "be a positive number; leave the term out instead"
        value = real("weight", weight, must, lambda x: 0 < x < math.inf, f" of {self.name!r}")
        return Sum(tuple((value * own, term) for own, term in self.parts))

    __rmul__ = __mul__

    @final
    def __truediv__(self, weight: float) -> Objective:
        if nature(weight) != "a number":
            raise TypeError(f"{self.name!r} / {shown(weight)} divides an objective by {nature(weight)}: pass a number")
        must = "be a positive number"
        divisor: float = real("weight", weight, must, lambda x: 0 < x < math.inf, f" below {self.name!r}")
        return self * (1 / divisor)

    @final
    def __neg__(self) -> Objective:
        raise TypeError(
            f"-{self.name!r} would reward what the term forbids: energies add up, and a text is wanted where they are "
            "low; write the opposite as a term of its own, such as FunctionObjective"
        )

    @final
    def __sub__(self, other: object) -> Objective:
        raise TypeError(
            f"{self.name!r} - {shown(other)} takes something away from an objective: energies add up, and a text is "
            "wanted where they are low; write the opposite as a term of its own, such as FunctionObjective"
        )


@final
@dataclass(frozen=True)
class Sum(Objective):
    """A weighted sum of objectives.

    >>> from textsearch.testing import letters
    >>> length = FunctionObjective(lambda texts: [len(text) for text in texts], name="length")
    >>> total = length + 2.0 * length
    >>> total.energy(letters("abc").encode(["ab", "c"])).tolist()
    [6.0, 3.0]
    """

    terms: tuple[tuple[float, Objective], ...]

    def __post_init__(self) -> None:
        found = []
        for place, pair in enumerate(sequence("terms", self.terms, "weights and objectives", "[(1.0, objective)]")):
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(
                    f"terms[{place}]={shown(pair)} is no pair of a weight and an objective, (1.0, objective); or write "
                    "the sum as a + 2.0 * b"
                )
            must = "be a positive number; leave the term out instead"
            weight = real(f"terms[{place}][0]", pair[0], must, lambda x: 0 < x < math.inf)
            found.append((weight, instance(f"terms[{place}][1]", pair[1], OBJECTIVE)))
        keep(self, terms=tuple(found))

    @property
    def name(self) -> str:
        """The names of the terms, joined."""
        return " + ".join(term_names(self))

    @property
    def cost(self) -> Cost:
        """The cost of the most expensive term."""
        return max((term.cost for _, term in self.terms), default=Cost.HARD)

    @property
    def lower_bound(self) -> float:
        """The weighted sum of the terms' lower bounds."""
        return sum(weight * term.lower_bound for weight, term in self.terms)

    @property
    def parts(self) -> tuple[tuple[float, Objective], ...]:
        """The terms with their weights."""
        return self.terms

    def energy(self, batch: Batch) -> Tensor:
        """(B,) weighted sum of the terms."""
        return _in_stages(self, batch, None, None).energy

    def check(self, batch: Batch) -> None:
        """Check each term."""
        for _, term in self.terms:
            term.check(batch)

    def outline(self, number: int) -> Outline:
        """What all terms say of a text."""
        return reduce(Outline.also, (outline_of(term, number) for _, term in self.terms), Outline())

    def freeze(self, batch: Batch) -> Batch:
        """Freeze what any term wants frozen."""
        for _, term in self.terms:
            batch = term.freeze(batch)
        return batch

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
        """(K, V) bool, what every term allows."""
        return _joined(and_, (allowed_by(term, batch, rows, positions) for _, term in self.terms))

    def allowed_next(self, beginnings: Beginnings) -> Tensor | None:
        """(K, V) bool, what every term allows."""
        return _joined(and_, (next_allowed_by(term, beginnings) for _, term in self.terms))

    def impossible(self, beginnings: Beginnings) -> Tensor | None:
        """(K,) bool, what any term has proven."""
        return _joined(or_, (impossible_by(term, beginnings) for _, term in self.terms))


@final
@dataclass(frozen=True)
class FunctionObjective(Objective):
    """Any Python function of texts, one energy each.

    Attributes:
        function: takes a list of texts, gives as many numbers, nats; +inf forbids a text.
        name: the term's name in results; by default the function's name.

    >>> from textsearch.testing import letters
    >>> shout = FunctionObjective(lambda texts: [text.count("a") for text in texts], name="shout")
    >>> shout.energy(letters("abc").encode(["aab", "c"])).tolist()
    [2.0, 0.0]
    """

    function: Callable[[list[str]], Iterable[float]]
    label: str

    def __init__(self, function: Callable[[list[str]], Iterable[float]], name: str | None = None) -> None:
        if not callable(function):
            raise TypeError(f"function={shown(function)} cannot be called; pass one from a list of texts to numbers")
        label = getattr(function, "__name__", "function").strip("<>") if name is None else string("name", name)
        keep(self, function=function, label=label or "function")

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    def energy(self, batch: Batch) -> Tensor:
        """(B,) values of the function for the surface texts; a `ValueError` if it gives another number of them."""
        texts = batch.texts()
        try:
            values = self.function(texts)
        except Exception as error:
            error.add_note(
                f"from the function of objective {self.label!r}, which was given the list {shown(texts, 200)}: a "
                "function of a list of texts returns one number for each"
            )
            raise
        # sets have no order, and what is in one twice is there once
        if isinstance(values, Iterable) and not isinstance(values, Tensor | Set | Mapping):
            values = list(values)
        try:
            energy = torch.as_tensor(values, dtype=torch.float64, device=batch.device).detach()
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise TypeError(
                f"objective {self.label!r} gave {shown(values)} for {len(texts)} texts; return one number for each text"
            ) from error
        if energy.shape != (len(texts),):
            raise ValueError(
                f"objective {self.label!r} gave values of shape {tuple(energy.shape)} for {len(texts)} texts; the "
                "function is given a list of texts: return one number for each text"
            )
        return energy


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """Energies and what they are made of.

    Attributes:
        energy: (B,) float64.
        terms: (B, J) float64 weighted terms, in the order of `term_names`; nan where a term was not evaluated, because
            a cheaper one had forbidden the row.
    """

    energy: Tensor
    terms: Tensor

    def rows(self, index: Tensor) -> Evaluation:
        """The rows that `index` picks, in its order."""
        return Evaluation(self.energy[index], self.terms[index])

    def where(self, take: Tensor, other: Evaluation) -> Evaluation:
        """Row b of `other` where `take[b]`, of this evaluation elsewhere."""
        return Evaluation(
            torch.where(take, other.energy, self.energy),
            torch.where(take[:, None], other.terms, self.terms),
        )


def _joined(join: Callable[[Tensor, Tensor], Tensor], answers: Iterable[Tensor | None]) -> Tensor | None:
    """The answers of all terms that have one; None if none has."""
    found = [answer for answer in answers if answer is not None]
    return reduce(join, found) if found else None


def allowed_by(objective: Objective, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor | None:
    """`Objective.allowed` of anything that has an objective's methods; None where it has no such method."""
    return objective.allowed(batch, rows, positions) if hasattr(objective, "allowed") else None


def next_allowed_by(objective: Objective, beginnings: Beginnings) -> Tensor | None:
    """`Objective.allowed_next` of anything that has an objective's methods; None where it has no such method."""
    return objective.allowed_next(beginnings) if hasattr(objective, "allowed_next") else None


def impossible_by(objective: Objective, beginnings: Beginnings) -> Tensor | None:
    """`Objective.impossible` of anything that has an objective's methods; None where it has no such method."""
    return objective.impossible(beginnings) if hasattr(objective, "impossible") else None


def outline_of(objective: Objective, number: int) -> Outline:
    """What an objective says of a text for the input of this number; a class of somebody else's may say nothing."""
    return objective.outline(number) if hasattr(objective, "outline") else Outline()


def terms_of(objective: Objective, number: int) -> dict[str, str]:
    """The terms that concern an input: their names among all terms -> their names among these."""
    parts = [(name, term) for name, (_, term) in zip(term_names(objective), objective.parts, strict=True)]
    own = [(name, term) for name, term in parts if term.concerns(number)]
    return dict(zip([name for name, _ in own], numbered([term.name for _, term in own]), strict=True))


def term_names(objective: Objective) -> tuple[str, ...]:
    """The names of the terms; equal names get numbers."""
    return numbered([term.name for _, term in objective.parts])


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """The names, with numbers behind equal ones so that all differ.

    >>> numbered(["a", "b", "a"])
    ('a 1', 'b', 'a 2')
    """
    unique: list[str] = []
    for name in names:
        number, chosen = 1, name if names.count(name) == 1 else f"{name} 1"
        while chosen in unique or (chosen != name and chosen in names):
            number += 1
            chosen = f"{name} {number}"
        unique.append(chosen)
    return tuple(unique)


def evaluate(
    objective: Objective, batch: Batch, wanted: Tensor | None = None, limit: Limit | None = None
) -> Evaluation:
    """Energies of the rows, stage by stage; rows where `wanted` (B,) is False are +inf and cost nothing.

    So are rows that are not `proper`. A row within its limit has the same energy as without limits; a row above it may
    be +inf.

    Raises:
        ValueError: an energy is nan or -inf, of a term or of the sum; the message names the term, the text and the row.
    """
    return _in_stages(objective, batch, proper(objective, batch, wanted), limit)


def proper(objective: Objective, batch: Batch, wanted: Tensor | None = None) -> Tensor:
    """(B,) bool, the rows of `wanted` that count: each text counts in one row of tokens and with one marking.

    This makes the target a law over texts, whatever the sampler and its moves; see `textsearch.spelling` and
    `textsearch.marks`.
    """
    asked = torch.ones_like(batch.lengths, dtype=torch.bool) if wanted is None else wanted
    rows = asked.nonzero().squeeze(-1)
    if len(rows) == 0:
        return asked
    part = batch if len(rows) == len(batch) else batch.rows(rows)
    good = counts(objective, part)  # the cheaper question first
    if not bool(good.all()):
        rows = rows[good]
        part = batch.rows(rows)
    return torch.zeros_like(asked).index_put((rows,), canonical(part))


def _in_stages(objective: Objective, batch: Batch, wanted: Tensor | None, limit: Limit | None) -> Evaluation:
    """As `evaluate`, of any rows."""
    parts, names = objective.parts, term_names(objective)
    energy = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
    terms = torch.full((len(batch), len(parts)), math.nan, dtype=torch.float64, device=batch.device)
    if wanted is not None:
        energy = energy.masked_fill(~wanted, math.inf)
    stages = _by_cost(parts)
    for stage, column in enumerate(stages):
        weight, term = parts[column]
        to_come = sum(parts[later][0] * parts[later][1].lower_bound for later in stages[stage + 1 :])
        if limit is not None:
            least = weight * term.lower_bound
            above = energy + least + to_come > limit.energy + _rounding(limit.energy, energy, least + to_come)
            energy = energy.masked_fill(above, math.inf)
        alive = (energy < math.inf).nonzero().squeeze(-1)
        if len(alive) == 0:
            break
        whole = len(alive) == len(batch)
        part = batch if whole else batch.rows(alive)
        with charged_to(names[column]):
            if limit is None:
                own = term.energy(part)
            else:
                most, so_far = limit.energy[alive], energy[alive]
                left = (most - so_far - to_come + _rounding(most, so_far, to_come)) / weight
                own = term.energy_within(part, Limit(left, limit.before.rows(alive)))
            if not isinstance(own, Tensor):
                raise TypeError(
                    f"objective {term.name!r} gave {nature(own)}, {shown(own)}: an energy is a (B,) tensor, one number "
                    "for each text"
                )
            value = weight * own.to(torch.float64)
        if value.shape != (len(part),):
            raise ValueError(
                f"objective {term.name!r} gave values of shape {tuple(value.shape)} for {len(part)} texts; "
                "return one number for each text"
            )
        summed = energy[alive] + value
        # a single text of energy -inf would have all of the probability; nan has none
        wrong = summed.isnan() | (summed == -math.inf)
        if bool(wrong.any()):
            bad = int(wrong.nonzero()[0])
            raise ValueError(no_energy(term.name, own, weight, energy[alive], bad, int(alive[bad]), part))
        terms[alive, column] = value
        energy = energy.index_copy(0, alive, summed)
    return Evaluation(energy, terms)


def _rounding(limit: Tensor, energy: Tensor, to_come: float) -> Tensor:
    """(B,) nats by which rounding may shift a bound: a text whose energy equals the limit is within it."""
    size = limit.abs() + energy.abs() + abs(to_come)
    return (4 * torch.finfo(torch.float64).eps * size).where(limit.isfinite(), 0.0)


def _by_cost(parts: Sequence[tuple[float, Objective]]) -> list[int]:
    return sorted(range(len(parts)), key=lambda column: parts[column][1].cost)
