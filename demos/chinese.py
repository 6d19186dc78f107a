"""A Chinese sentence from keywords, by a masked and a causal model that have never heard of a request.

python demos/chinese.py MASKED CAUSAL 春天 公园 孩子
"""

import sys

from objectives import Fluency, Keywords, Length, Pattern, PseudoLikelihood, Repeats, WholeWords
from samplers import DelayedAcceptance, SimulatedAnnealing
from samplers.proposals import SpanEdit
from textsearch import generate
from textsearch.language.segmentation import chinese_words
from textsearch.models import causal_lm, masked_lm
from textsearch.models.guided import GuidedMaskedLM
from textsearch.schedule import geometric
from textsearch.tasks.languages import CHINESE
from textsearch.tasks.starts.bridges import bridges

masked, lm = masked_lm(sys.argv[1]), causal_lm(sys.argv[2])
words = sys.argv[3:] or ["春天", "公园", "孩子"]

# one sentence of about 18 characters, with the keywords as whole words
form = Keywords(words, freeze_tokens=True) + Pattern(CHINESE.sentence()) + Length(18, sd=1.5)
form = form + 5.0 * WholeWords([words], chinese_words) + 3.0 * Repeats()
# what comes before judges quickly, both sides judge better
quick = Fluency(lm) + form
objective = 0.5 * Fluency(lm) + 0.5 * PseudoLikelihood(masked) + form

proposer = GuidedMaskedLM(masked, lm)
start = bridges(proposer, [words], [18], quick, CHINESE, chains=4, seed=0)
start = start.frozen(start.tokens == start.vocabulary.encode(["。"]).tokens[0, 0])
sampler = DelayedAcceptance(SpanEdit(proposer, CHINESE.edits), surrogate=quick)
cooled = SimulatedAnnealing(sampler, geometric(1.0, 0.3, 60))
print(generate(objective, cooled, start, steps=60, seed=0, progress=True))
