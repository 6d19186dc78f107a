"""N-grams of both directions as a masked model: the product, what it sees, and exact moves."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from objectives import Fluency
from samplers import Gibbs, MetropolisHastings
from samplers.proposals import Edits, Mixture, PrefixResampling, Replace, SuffixResampling
from tests.models.ngrams import saved, toy
from textsearch import generate
from textsearch.models import ngram_lm
from textsearch.models.ngram.both_sides import NgramMaskedLM
from textsearch.models.ngram.lm import NgramLM
from textsearch.models.ngram.training import characters_of, train_ngrams
from textsearch.models.right_to_left import RightToLeftLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.testing import TableCausalLM, check_proposal, letters


def both(order: int = 3, prior: float = 1.0) -> NgramMaskedLM:
    return NgramMaskedLM(toy(order), RightToLeftLM(toy(order, direction="right_to_left")), prior)


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_it_is_the_product_of_what_is_said_from_either_side(prior: float) -> None:
    mlm = both(prior=prior)
    batch = mlm.vocabulary.encode(["the cat", "a"])
    found = mlm.log_probs(batch, torch.tensor([0, 1, 0]), torch.tensor([5, 0, 5]))
    backward = mlm.behind
    want = mlm.forward.next_log_probs(["the c"]) + backward.next_log_probs(["t"])
    want -= prior * torch.from_numpy(mlm.forward.model.log_prob[0][: mlm.vocabulary.size].astype(np.float64))
    torch.testing.assert_close(found[0], want.log_softmax(-1)[0], atol=1e-12, rtol=0)
    assert found[0].equal(found[2])
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(3, dtype=torch.float64))
    # the control: from the left alone
    assert not torch.allclose(found[0], mlm.forward.next_log_probs(["the c"])[0], atol=0.1)


def test_it_does_not_look_at_the_token_itself_nor_beyond_a_mask() -> None:
    mlm = both()
    place, row = torch.tensor([4]), torch.tensor([0])

    def law(text: str) -> torch.Tensor:
        return mlm.log_probs(mlm.vocabulary.encode([text]), row, place)

    assert law("the cat").equal(law("the hat")) and not law("the cat").equal(law("the con"))
    assert law("a[MASK]e cat").equal(law("t[MASK]e cat"))
    assert not law("a[MASK]e cat").equal(law("aahe cat"))


def test_moves_that_draw_from_it_are_exact() -> None:
    mlm = both()
    texts = [a + b + c for a in "ca" for b in "at" for c in "ht"]
    check_proposal(Replace(mlm), texts, chains=4000)


def test_samplers_of_masked_models_run_on_it() -> None:
    mlm = both(4)
    energy = Fluency(mlm.forward) + Fluency(mlm.backward)
    start = ["tha cet", "a het"]
    begun = energy.energy(mlm.vocabulary.encode(start)).numpy()
    for sampler in (MetropolisHastings(Edits(mlm)), Gibbs(mlm, 4)):
        result = generate(energy, sampler, start, steps=40, seed=0)
        assert (np.array(result.best_energies) < begun - 1).all()


def test_two_that_were_saved_share_a_vocabulary(tmp_path: Path) -> None:
    mlm = both()
    forward, backward = saved(tmp_path / "forward", mlm.forward), saved(tmp_path / "backward", mlm.behind)
    first = ngram_lm(forward)
    assert isinstance(first, NgramLM)
    second = ngram_lm(backward, vocabulary=first.vocabulary)
    assert isinstance(second, RightToLeftLM) and second.vocabulary is first.vocabulary
    batch = first.vocabulary.encode(["the cat"])
    assert second.score(batch).log_prob.equal(mlm.backward.score(batch).log_prob)
    Mixture({SuffixResampling(first): 0.5, PrefixResampling(second): 0.25, Replace(NgramMaskedLM(first, second)): 0.25})
    other = NgramLM(train_ngrams(["abc"], characters_of(["abc"], 1)), TokenizerVocabulary(characters_of(["abc"], 1), 9))
    with pytest.raises(ValueError, match="has other tokens than the vocabulary"):
        ngram_lm(backward, vocabulary=other.vocabulary)


def test_what_does_not_belong_together_is_refused() -> None:
    mlm = both()
    with pytest.raises(TypeError, match="backward wraps a TableCausalLM, not n-grams"):
        NgramMaskedLM(mlm.forward, RightToLeftLM(TableCausalLM.random(letters("ab"), seed=0)))
    assert pickle.loads(pickle.dumps(mlm)).prior == 1.0
