"""What samplers that hold other samplers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from samplers.proposals.sites import masks
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import sequence
from textsearch.kinds import SAMPLER, instance
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler, State

Inner = TypeVar("Inner", bound=State)
S = TypeVar("S", bound=State)


class Wrapper(ABC, Generic[Inner, S]):
    """A sampler around another one, with that one's vocabulary and kinds of move.

    Attributes:
        sampler: the one within, of state `Inner`; a field of the dataclass that derives from this.
    """

    sampler: Sampler[Inner]

    def __post_init__(self) -> None:
        instance("sampler", self.sampler, SAMPLER)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the sampler within writes."""
        return self.sampler.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the moves of the sampler within."""
        return self.sampler.kinds

    @property
    @abstractmethod
    def guarantee(self) -> Guarantee:
        """What the sampler promises of its draws."""

    @abstractmethod
    def init(self, objective: Objective, batch: Batch) -> S:
        """The state at the start."""

    @abstractmethod
    def step(self, objective: Objective, state: S, rng: Rng, temperature: float | Tensor = 1.0) -> tuple[S, Info]:
        """One step of every chain towards exp(-E / temperature); a temperature may be (B,)."""


class StepWrapper(Wrapper[S, S]):
    """One that changes the steps alone: chains start as those of the sampler within do, and have its state."""

    @property
    def starts_anywhere(self) -> bool:
        """Whether chains may start from a forbidden text or a template.

        Raises:
            AttributeError: the sampler within does not say.
        """
        return starts_anywhere(self.sampler)

    def check(self, batch: Batch) -> None:
        """Raise a `ValueError` for a text that the sampler within refuses; runs no model."""
        check_start(self.sampler, batch)

    def init(self, objective: Objective, batch: Batch) -> S:
        """The state that the sampler within starts from."""
        return self.sampler.init(objective, batch)


class Turns(ABC):
    """Samplers of one vocabulary that take turns at the same chains.

    Attributes:
        samplers: a field of the dataclass that derives from this.
    """

    samplers: tuple[Sampler[ChainState], ...]

    @property
    def vocabulary(self) -> Vocabulary:
        """The one that all samplers share."""
        return self.samplers[0].vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the moves of all samplers, in order, each name once."""
        return tuple(dict.fromkeys(kind for sampler in self.samplers for kind in sampler.kinds))

    @property
    def guarantee(self) -> Guarantee:
        """Exact if all samplers are, else biased."""
        return promised(self.samplers)

    @property
    def starts_anywhere(self) -> bool:
        """Whether all samplers can start from a forbidden text or a template.

        Raises:
            AttributeError: one of the samplers does not say.
        """
        # every sampler is asked, so that one that does not say is noticed, whatever comes before it
        told = [starts_anywhere(sampler) for sampler in self.samplers]
        return all(told)

    def check(self, batch: Batch) -> None:
        """Raise a `ValueError` for a text that any of the samplers refuses; runs no model."""
        for sampler in self.samplers:
            check_start(sampler, batch)

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies, worked out once; refused if any of the samplers refuses them."""
        return shared_start(self.samplers, objective, batch, type(self).__name__)

    @abstractmethod
    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One step of every chain towards exp(-E / temperature); a temperature may be (B,)."""


def shared(given: Iterable[Sampler[Any]], whole: str) -> tuple[Sampler[Any], ...]:
    """The samplers of `whole`, checked: there is one at least, and they share one vocabulary."""
    samplers = sequence("samplers", given, "samplers", "[MetropolisHastings(...), Gibbs(...)]")
    if not samplers:
        raise ValueError(f"samplers is empty: {whole} needs at least one")
    for number, sampler in enumerate(samplers):
        instance(f"samplers[{number}]", sampler, SAMPLER)
        if sampler.vocabulary is not samplers[0].vocabulary:
            raise ValueError(
                f"samplers[{number}] has another vocabulary than samplers[0]: the samplers of {whole} must share "
                "one, that is, one tokenizer object"
            )
    return samplers


def kind_numbers(sampler: Sampler[Any], kinds: Sequence[str], kind: Tensor) -> Tensor:
    """(B,) int64, indices `kind` into a sampler's own kinds as indices into `kinds`."""
    index = torch.tensor([kinds.index(name) for name in sampler.kinds], device=kind.device)
    return index[kind]


def promised(samplers: Sequence[Sampler[Any]]) -> Guarantee:
    """What samplers that take turns promise: exact if all are, else biased.

    Consistent samplers do not stay consistent: their weights do not belong to texts that another sampler has moved.
    """
    exact = all(sampler.guarantee is Guarantee.EXACT for sampler in samplers)
    return Guarantee.EXACT if exact else Guarantee.BIASED


def starts_anywhere(sampler: Sampler[Any]) -> bool:
    """Whether chains of the sampler may start from a forbidden text, or from a template.

    Raises:
        AttributeError: the sampler does not say.
    """
    return bool(sampler.starts_anywhere)  # type: ignore[attr-defined]


def check_start(sampler: Sampler[Any], batch: Batch) -> None:
    """Raise a `ValueError` for texts that the sampler cannot start from; runs no model."""
    sampler.check(batch)  # type: ignore[attr-defined]


def shared_start(samplers: Sequence[Sampler[Any]], objective: Objective, batch: Batch, whole: str) -> ChainState:
    """The start of samplers that take turns: the texts with their energies, each computed once.

    A sampler says what it needs of a start by `check(batch)` and `starts_anywhere`. For one that has neither, such as a
    plug-in, `init` is called to find out; its state is not used.
    """
    told = [sampler for sampler in samplers if hasattr(sampler, "starts_anywhere")]
    for sampler in told:
        check_start(sampler, batch)
    anywhere = [starts_anywhere(sampler) for sampler in told]
    written = ~masks(batch).any(1)
    if len(told) == len(samplers) and all(anywhere):
        start = ChainState(batch, evaluate(objective, batch, wanted=written))
    elif any(anywhere) and not bool(written.all()):
        # a template is not a finished text, and must not become the best one
        row = int((~written).nonzero()[0])
        names = [type(sampler).__name__ for sampler in samplers if not getattr(sampler, "starts_anywhere", False)]
        raise ValueError(
            f"row {row}, {batch.rows([row]).texts()[0]!r}, has masks to be filled in, and {names[0]} cannot start from "
            f"a template: fill it beforehand, or leave {names[0]} out of the {whole}"
        )
    else:
        start = ChainState.start(objective, batch)
    for sampler in samplers:
        if not hasattr(sampler, "starts_anywhere"):
            plain_start(sampler, objective, batch, whole)
    return start


def plain_start(sampler: Sampler[Any], objective: Objective, batch: Batch, whole: str) -> ChainState:
    """The start of a sampler within `whole`, which passes on texts and energies only."""
    state = sampler.init(objective, batch)
    if type(state) is not ChainState:
        raise TypeError(
            f"the state of {type(sampler).__name__} is a {type(state).__name__}: {whole} hands on texts and energies, "
            "so it needs samplers that keep nothing else, such as MetropolisHastings"
        )
    return state
