"""A corrected sentence: a masked model proposes what words may have been meant, a causal model judges.

python demos/correct.py "She go to school yesterday becouse she have a exam."
"""

import sys

from objectives import Closeness, Fluency
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import Clusters, Corrections
from textsearch import generate
from textsearch.language.confusions import EnglishConfusions
from textsearch.language.words import split
from textsearch.models import causal_lm, masked_lm
from textsearch.schedule import geometric
from textsearch.tasks.channel import Channel

text = " ".join(sys.argv[1:]) or "She go to school yesterday becouse she have a exam."

# for each word, what it may have been meant to be
english = EnglishConfusions()
clusters = Clusters.of([split(text)], english)
start = clusters.vocabulary.encode([text])

# E(x) = -log p(x) + the least cost, in nats, of edits that lead from the text to x
objective = Fluency(causal_lm()) + Closeness(start, Channel(english))

moves = Corrections(masked_lm(), clusters)
sampler = SimulatedAnnealing(MetropolisHastings(moves), geometric(0.5, 0.05, 60))
print(generate(objective, sampler, start, steps=60, seed=0, chains=2, progress=True))
