"""What samplers share lies in abstract bases; every sampler itself is final."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import samplers
from samplers.composites.wrapped import StepWrapper, Turns, Wrapper
from samplers.one_proposal import DrawSampler, MoveSampler, ProposalSampler
from textsearch.kinds import SAMPLER
from textsearch.sampler import Guarantee

BASES = (ProposalSampler, MoveSampler, DrawSampler, Wrapper, StepWrapper, Turns)
SAMPLERS = [
    found
    for name in samplers.__all__
    if inspect.isclass(found := getattr(samplers, name)) and all(hasattr(found, part) for part in ("init", "step"))
]


@pytest.mark.parametrize("base", BASES, ids=lambda base: str(base.__name__))
def test_a_base_cannot_be_made(base: type[Any]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        base()


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: str(sampler.__name__))
def test_a_sampler_is_final_and_has_all_that_a_sampler_has(sampler: type[Any]) -> None:
    assert getattr(sampler, "__final__", False)
    assert not inspect.isabstract(sampler)
    assert all(hasattr(sampler, name) for name in SAMPLER.has)
    assert isinstance(sampler.guarantee, Guarantee | property)


def test_all_samplers_are_looked_at() -> None:
    assert len(SAMPLERS) == 25
