"""What samplers that are made of one proposal share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from torch import Tensor

from samplers import independent_draws
from textsearch.batch import Batch, Vocabulary
from textsearch.kinds import INDEPENDENT, PROPOSAL, instance
from textsearch.objective import Objective
from textsearch.proposal import IndependentProposal, Proposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, State

P = TypeVar("P", Proposal, IndependentProposal)
S = TypeVar("S", bound=State)


class ProposalSampler(ABC, Generic[P, S]):
    """A sampler made of one proposal: it writes the proposal's tokens and refuses the texts that the proposal refuses.

    Attributes:
        proposal: a field of the dataclass that derives from this.
    """

    proposal: P

    @property
    @abstractmethod
    def kinds(self) -> tuple[str, ...]:
        """The names of its moves."""

    @property
    @abstractmethod
    def guarantee(self) -> Guarantee:
        """What the sampler promises of its draws."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the proposal writes."""
        return self.proposal.vocabulary

    def check(self, batch: Batch) -> None:
        """Raise a `ValueError` for a text that the proposal could do nothing with; runs no model."""
        self.proposal.check(batch)

    @abstractmethod
    def init(self, objective: Objective, batch: Batch) -> S:
        """The state at the start."""

    @abstractmethod
    def step(self, objective: Objective, state: S, rng: Rng, temperature: float | Tensor = 1.0) -> tuple[S, Info]:
        """One step of every chain towards exp(-E / temperature); a temperature may be (B,)."""


class MoveSampler(ProposalSampler[Proposal, S]):
    """One whose proposal edits the text that stands there; its kinds of move are the proposal's."""

    guarantee: ClassVar = Guarantee.EXACT

    def __post_init__(self) -> None:
        instance("proposal", self.proposal, PROPOSAL)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the proposal's moves."""
        return self.proposal.kinds


class DrawSampler(ProposalSampler[IndependentProposal, ChainState]):
    """One whose proposal draws whole texts, whatever text stands there."""

    starts_anywhere: ClassVar = True
    """A forbidden text or a template gives way to the first draw of weight above 0."""

    def __post_init__(self) -> None:
        instance("proposal", self.proposal, INDEPENDENT)

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies, which may be +inf.

        Raises:
            ValueError: a text of finite energy that the proposal cannot draw: the chain could never leave it.
        """
        return independent_draws.start(self.proposal, objective, batch)
