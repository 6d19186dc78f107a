"""Sentences under a mix of constraints: a template, a rhyme, a forbidden word, a topic.

python demos/write.py
"""

from dataclasses import replace

from objectives import Fluency, Forbidden, LengthBetween, Rhyme, Similarity, Template
from samplers import MetropolisHastings
from samplers.proposals import PIECES, SpanEdit
from samplers.starts.fill import fill_masks
from textsearch import generate
from textsearch.models import causal_lm, masked_lm, sentence_encoder
from textsearch.models.guided import GuidedMaskedLM

lm, masked = causal_lm(), masked_lm()

# E(x) = -log p(x) + 20 (1 - cosine to the topic), +inf where x breaks one of the hard terms
objective = (
    Fluency(lm)
    + Template("The * ran to the *.")
    + Rhyme("day")
    + Forbidden(["dog"])
    + LengthBetween(6, 12, marks=False)
    + Similarity(sentence_encoder(), "a river and its boats")
)

# a start that keeps them all: the frame by hand, its gaps filled; `textsearch.tasks.write` makes frames itself
proposer = GuidedMaskedLM(masked, lm)
frame = masked.vocabulary.encode(["The [MASK] [MASK] ran to the [MASK] bay."]).repeat(8)
start = fill_masks(proposer, frame, seed=0)
start = replace(start, editable=start.present)  # the objective freezes the template's own words again

edits = {(1, 1): 0.5, (0, 1): 0.15, (1, 0): 0.15, (2, 2): 0.2}
print(
    generate(objective, MetropolisHastings(SpanEdit(proposer, edits, PIECES)), start, steps=100, seed=0, progress=True)
)
