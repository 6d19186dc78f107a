"""Words for the gaps of a text; nothing else of it changes.

python demos/infill.py "The [MASK] [MASK] ran home."
"""

import sys
from dataclasses import replace

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import PIECES, BlockInfill, Mixture, Replace
from samplers.starts.fill import fill_masks
from textsearch import generate
from textsearch.models import causal_lm, masked_lm
from textsearch.models.guided import GuidedMaskedLM

texts = sys.argv[1:] or ["The [MASK] [MASK] ran home."]
lm, masked = causal_lm(), masked_lm()

# all but the gaps is frozen, and comes back character by character
vocabulary, gaps = masked.vocabulary.gapped([text.split("[MASK]") for text in texts])
# the masked model sees both sides of a gap, the causal model what led up to it: their product proposes
proposer = GuidedMaskedLM(replace(masked, vocabulary=vocabulary), lm)
sampler = MetropolisHastings(
    Mixture({Replace(proposer, pieces=PIECES): 0.7, BlockInfill(proposer, words=(2,), pieces=PIECES): 0.3})
)
start = fill_masks(proposer, gaps.repeat(8), seed=0)
print(generate(Fluency(lm), sampler, start, steps=100, seed=0, progress=True))
