"""Paraphrases: drafts of a causal model, and chains that trade meaning, wording and agreement with the drafts.

python demos/paraphrase.py "How can I improve my English?"
"""

import sys

from objectives import Consensus, Diversity, Fluency, InputEmbeddings, Similarity, WordPreservation
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import PIECES, BlockInfill, Copy, InsertDelete, Mixture, Replace, Swap
from samplers.starts.drafts import drafts
from textsearch import generate
from textsearch.models import causal_lm, masked_lm, sentence_encoder
from textsearch.proposal import Proposal
from textsearch.schedule import geometric
from textsearch.tasks.paraphrasing import request

source = " ".join(sys.argv[1:]) or "How can I improve my English?"
lm, masked, encoder = causal_lm(), masked_lm(), sentence_encoder()
prompt = request(lm, source)

# -f log p(x | request) + s (1 - cos) - log(keywords kept) - S log(1 - BLEU to the source) + C (1 - E_r BLEU to r)
meaning = 10.0 * Similarity(encoder, source, sharpness=1.0) + WordPreservation(InputEmbeddings(masked), source)
wording = 10.0 * Diversity(source)
first = drafts(lm, [prompt], meaning + wording, masked.vocabulary, chains=8, seed=0, pool=20, temperature=0.8)
objective = meaning + wording + 40.0 * Consensus([first.texts()]) + 0.25 * Fluency(lm, prompt)

moves: dict[Proposal, float] = {
    Replace(masked, pieces=PIECES): 0.3,
    InsertDelete(masked, pieces=PIECES): 0.2,
    BlockInfill(masked, words=(2,), pieces=PIECES): 0.1,
    Copy(masked, " ".join([source, *first.texts()]), pieces=PIECES): 0.3,
    Swap(masked.vocabulary): 0.1,
}
sampler = SimulatedAnnealing(MetropolisHastings(Mixture(moves)), geometric(0.5, 0.05, 40))
print(generate(objective, sampler, first, steps=40, seed=0, progress=True))
