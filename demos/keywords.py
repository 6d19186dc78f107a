"""Sentences from keywords: drafts that hold every word, annealed by edits that keep them.

python demos/keywords.py dog frisbee park
"""

import sys

from objectives import Fluency, Keywords
from objectives.conditional import Conditional
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import PIECES, Mixture, SpanEdit, Swap
from samplers.starts.drafts import best_of, one_sentence
from samplers.starts.woven import woven
from textsearch import generate
from textsearch.models import causal_lm, masked_lm
from textsearch.models.guided import GuidedMaskedLM
from textsearch.schedule import geometric
from textsearch.tasks.keyword_sentences import kept_whole, one_sentence_each

ASK = "Write one short sentence with the words: "
EXAMPLES = [
    (ASK + "girl, book, tree", "A girl is reading a book under a tree."),
    (ASK + "snow, child, hill", "The children are sliding down a hill in the snow."),
]

words = sys.argv[1:] or ["dog", "frisbee", "park"]
lm, masked = causal_lm(), masked_lm()
prompt = lm.ask(ASK + ", ".join(words), EXAMPLES)

# E(x) = -log p(x | prompt) - log p(x), +inf where a keyword is missing or x is not one sentence
held = Keywords(words, inflections=True)
objective = Conditional(lm, prompt) + Fluency(lm) + held + one_sentence_each(held)

proposer = GuidedMaskedLM(masked, lm, prompt)
edits = {(1, 1): 0.5, (0, 1): 0.1, (1, 0): 0.1, (2, 2): 0.1, (1, 2): 0.1, (2, 1): 0.1}
moves = Mixture({SpanEdit(proposer, edits, PIECES): 0.95, Swap(masked.vocabulary): 0.05})
sampler = SimulatedAnnealing(MetropolisHastings(moves), geometric(1.0, 0.2, 60))


def missing(text: str, number: int) -> list[str]:
    """The words that a draft has forgotten, to be woven in."""
    batch = lm.vocabulary.encode([text])
    return [word for word in words if Keywords([word], inflections=True).energy(batch) > 0]


def finished(text: str, number: int) -> str:
    """The first sentence; none ends inside a keyword such as "Mr. Smith"."""
    return one_sentence(text, kept_whole(held)[number])


texts = woven(lm, [prompt], missing, count=16, seed=0, temperature=0.7, finish=finished)[0]
start = best_of(texts, 0, objective, masked.vocabulary, 8)
print(generate(objective, sampler, start, steps=60, seed=0, progress=True))
