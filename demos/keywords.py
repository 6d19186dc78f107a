"""Sentences from keywords: drafts of a causal model, edited by Metropolis-Hastings under its own energy.

python demos/keywords.py dog frisbee park
"""

import sys

from objectives import Fluency, Keywords, Pattern
from samplers import MetropolisHastings
from samplers.drafts import drafts
from samplers.proposals import PIECES, Mixture, SpanEdit, Swap
from textsearch import generate
from textsearch.models import causal_lm, masked_lm
from textsearch.models.guided import GuidedMaskedLM

ASK = "Write one short sentence with the words: "
EXAMPLES = [
    (ASK + "girl, book, tree", "A girl is reading a book under a tree."),
    (ASK + "snow, child, hill", "The children are sliding down a hill in the snow."),
]

words = sys.argv[1:] or ["dog", "frisbee", "park"]
lm, masked = causal_lm(), masked_lm()
prompt = lm.ask(ASK + ", ".join(words), EXAMPLES)

# E(x) = -log p(x | prompt), +inf where a keyword is missing or x is not one sentence
objective = Fluency(lm, prompt) + Keywords(words, inflections=True) + Pattern(r"^[^.!?]*[.!?]$")

proposer = GuidedMaskedLM(masked, lm, prompt)
edits = {(1, 1): 0.5, (0, 1): 0.1, (1, 0): 0.1, (2, 2): 0.1, (1, 2): 0.1, (2, 1): 0.1}
sampler = MetropolisHastings(Mixture({SpanEdit(proposer, edits, PIECES): 0.95, Swap(masked.vocabulary): 0.05}))

start = drafts(lm, [prompt], objective, masked.vocabulary, chains=8, seed=0)
print(generate(objective, sampler, start, steps=100, seed=0, progress=True))
