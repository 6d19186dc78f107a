"""Samplers within samplers: what all that hold others share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import sequence
from textsearch.kinds import SAMPLER, instance
from textsearch.objective import Objective
from textsearch.sampler import ChainState, Guarantee, Sampler


def shared(given: Iterable[Sampler[Any]], whole: str) -> tuple[Sampler[Any], ...]:
    """The samplers of `whole`, which share one vocabulary."""
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


def merged_kinds(samplers: Sequence[Sampler[Any]]) -> tuple[str, ...]:
    """The kinds of all samplers, in order, each name once."""
    return tuple(dict.fromkeys(kind for sampler in samplers for kind in sampler.kinds))


def kind_numbers(sampler: Sampler[Any], kinds: Sequence[str], kind: Tensor) -> Tensor:
    """(B,) a sampler's own numbers of its kinds, `kind`, as numbers into `kinds`."""
    index = torch.tensor([kinds.index(name) for name in sampler.kinds], device=kind.device)
    return index[kind]


def weakest(samplers: Sequence[Sampler[Any]]) -> Guarantee:
    """What all samplers promise."""
    order = list(Guarantee)  # from the strongest to the weakest
    return max((sampler.guarantee for sampler in samplers), key=order.index)


def plain_start(sampler: Sampler[Any], objective: Objective, batch: Batch, whole: str) -> ChainState:
    """The start of a sampler within `whole`, which hands on texts and energies and nothing else."""
    state = sampler.init(objective, batch)
    if type(state) is not ChainState:
        raise TypeError(
            f"the state of {type(sampler).__name__} is a {type(state).__name__}: {whole} hands on texts and energies, "
            "so it needs samplers that keep nothing else, such as MetropolisHastings"
        )
    return state
