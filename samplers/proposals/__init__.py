"""Proposals: the moves that Metropolis-Hastings samplers are made of."""

from samplers.proposals.edits import PIECES, BlockInfill, InsertDelete, Replace
from samplers.proposals.mixture import Mixture
from samplers.proposals.spans import SpanEdit
from samplers.proposals.swap import Swap

__all__ = ["PIECES", "BlockInfill", "InsertDelete", "Mixture", "Replace", "SpanEdit", "Swap"]
