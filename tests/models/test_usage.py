"""What models are asked is counted, and charged to whoever asks."""

from __future__ import annotations

import torch

from objectives import Fluency, PseudoLikelihood
from samplers import DelayedAcceptance, MetropolisHastings
from samplers.proposals import BlockInfill, Mixture, Replace
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch import FunctionObjective, generate
from textsearch.models.usage import Usage, charged_to, ledger
from textsearch.testing import TableMaskedLM, letters

EDITS = TableMaskedLM.random(letters("ab"), seed=0)
JUDGE = TableMaskedLM.random(EDITS.vocabulary, seed=1)


def test_the_innermost_asker_is_charged() -> None:
    usage = Usage()
    with ledger() as spent, charged_to("outer"):
        usage.count((1, 16), read=3)
        with charged_to("inner"):
            usage.count((2, 16), read=32)
            usage.remembered(5)
        usage.count((1, 16), read=16)
    usage.count((1, 16), read=16)
    assert spent == {"outer": Usage(2, 2, 32, 13), "inner": Usage(1, 2, 32, 0, 5)}
    assert usage == Usage(4, 5, 80, 13, 5)


def test_a_run_charges_each_term_and_each_kind_of_move() -> None:
    before = EDITS.usage.rows, JUDGE.usage.rows
    mixture = Mixture({Replace(EDITS): 1.0, BlockInfill(EDITS, words=(2,)): 1.0})
    result = generate(0.5 * PseudoLikelihood(JUDGE), MetropolisHastings(mixture), ["abab"], steps=20, seed=0, chains=3)
    assert set(result.usage) == {"pseudo-likelihood", "replace", "infill 2"}
    assert result.usage["pseudo-likelihood"].rows == JUDGE.usage.rows - before[1]
    assert result.usage["replace"].rows + result.usage["infill 2"].rows == EDITS.usage.rows - before[0]
    assert result.usage["replace"].rows == result.acceptance["replace"].proposed


def test_a_proposal_that_is_no_mixture_is_charged_by_its_kinds() -> None:
    free = FunctionObjective(lambda texts: [0.0] * len(texts), name="free")
    result = generate(free, MetropolisHastings(Replace(EDITS)), ["ab"], steps=3, seed=0)
    assert set(result.usage) == {"replace"}


def test_a_surrogate_is_charged_apart_from_the_target() -> None:
    sampler = DelayedAcceptance(Replace(EDITS), surrogate=PseudoLikelihood(EDITS))
    target = PseudoLikelihood(JUDGE) + FunctionObjective(lambda texts: [0.0] * len(texts), name="free")
    result = generate(target, sampler, ["abab"], steps=5, seed=0)
    assert result.usage["pseudo-likelihood"].rows > 0


def test_padding_and_remembered_texts_of_real_adapters_are_counted(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch = lm.vocabulary.encode(["the cat sat", "the cat sat", "a dog"])
    with torch.inference_mode(), ledger() as spent, charged_to("fluency"):
        Fluency(lm).energy(batch)
        Fluency(lm).energy(batch)
    usage = spent["fluency"]
    read = {tuple(row) for row in batch.token_lists()}
    assert (usage.rows, usage.hits) == (len(read), 4)
    assert usage.tokens - usage.padding + usage.reused == sum(len(row) + 1 for row in read)
    mlm = tiny.masked()
    texts = mlm.vocabulary.encode(["the cat sat", "a dog"])
    mlm.log_probs(texts, torch.tensor([0, 1]), torch.tensor([0, 0]))
    assert mlm.usage.tokens - mlm.usage.padding == int(texts.lengths.sum()) + 2 * 2
