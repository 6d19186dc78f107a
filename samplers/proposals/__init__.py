"""Proposals: the moves that samplers are made of, each with its log q.

`Fill`, `FromLeft`, `FromRight` and `Uniform` draw whole texts afresh. The others are reversible moves, which know log q
both ways: `MetropolisHastings`, `MultipleTry` and `DelayedAcceptance` are exact with any of them.
"""

from samplers.proposals.all_sites import AllSites
from samplers.proposals.clusters import Clusters
from samplers.proposals.copy import Copy
from samplers.proposals.corrections import Corrections
from samplers.proposals.edits import BlockInfill, InsertDelete, Replace
from samplers.proposals.exchanges import Exchanges, Stretch
from samplers.proposals.fill import Fill
from samplers.proposals.from_left import FromLeft
from samplers.proposals.from_right import FromRight
from samplers.proposals.informed import barker, square_root
from samplers.proposals.locally_balanced import LocallyBalanced
from samplers.proposals.metropolised_gibbs import MetropolisedGibbs
from samplers.proposals.mixture import Mixture
from samplers.proposals.path_auxiliary import PathAuxiliary
from samplers.proposals.pieces import PIECES
from samplers.proposals.prefix import PrefixResampling
from samplers.proposals.sites import template
from samplers.proposals.spans import SpanEdit
from samplers.proposals.suffix import SuffixResampling
from samplers.proposals.swap import Swap
from samplers.proposals.uniform import Uniform
from samplers.proposals.usual import Edits

__all__ = [
    "PIECES",
    "AllSites",
    "BlockInfill",
    "Clusters",
    "Copy",
    "Corrections",
    "Edits",
    "Exchanges",
    "Fill",
    "FromLeft",
    "FromRight",
    "InsertDelete",
    "LocallyBalanced",
    "MetropolisedGibbs",
    "Mixture",
    "PathAuxiliary",
    "PrefixResampling",
    "Replace",
    "SpanEdit",
    "Stretch",
    "SuffixResampling",
    "Swap",
    "Uniform",
    "barker",
    "square_root",
    "template",
]
