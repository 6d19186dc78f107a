"""Log-probabilities in every dtype: none above 0, and a text whose energy is the limit itself is within it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from objectives import Conditional, Fluency, FluencyPerToken, PseudoLikelihood, UnmaskedLikelihood
from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from tests.models.tiny_seq2seq import bart_path as bart_path
from tests.models.tiny_seq2seq import load as load_seq2seq
from textsearch.batch import Batch
from textsearch.models import seq2seq, unilm
from textsearch.models.reading import hidden_cache as contexts
from textsearch.models.reading import prefix_tree, projection
from textsearch.models.unilm import UniLM
from textsearch.objective import Limit, Objective, evaluate

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
Made = Callable[[], Objective]


def sharp(adapter: Any, times: float = 4.0) -> Any:
    """A model that is nearly sure of every token: where a probability is close to 1, rounding may lift it above."""
    with torch.no_grad():
        adapter.model.get_output_embeddings().weight *= times
    return adapter


@cache
def objectives(tiny: Tiny, bart: Path, dtype: torch.dtype) -> dict[str, tuple[Made, Batch]]:
    """Each made anew, with nothing remembered, and texts for it."""
    masked, causal = sharp(tiny.masked(dtype=dtype)), sharp(tiny.causal(dtype=dtype))
    pair = sharp(load_seq2seq(bart, dtype=dtype))
    own, other = masked.vocabulary.encode(TEXTS), causal.vocabulary.encode(TEXTS)
    return {
        "fluency": (lambda: Fluency(causal.forgetful(), "We saw"), other),
        "fluency per token": (lambda: FluencyPerToken(causal.forgetful()), other),
        "causal": (lambda: Conditional(causal.forgetful(), "the dog"), other),
        "seq2seq": (lambda: Conditional(pair.forgetful(), "the dog"), other),
        "unilm": (lambda: Conditional(UniLM(masked.forgetful(), ends=True), "the dog"), own),
        "pseudo-likelihood": (lambda: PseudoLikelihood(masked.forgetful()), own),
        "unmasked likelihood": (lambda: UnmaskedLikelihood(masked.forgetful()), own),
    }


def sure_of(tiny: Tiny, dtype: torch.dtype) -> dict[str, tuple[Made, Batch]]:
    """Texts whose every token the models take for nearly certain, the end too."""
    masked, causal = sharp(tiny.masked(dtype=dtype), 50.0), sharp(tiny.causal(dtype=dtype), 50.0)
    rows = [[token] for token in range(1, 60)]
    for _ in range(9):
        slots = causal.tree.read([[causal.bos, *row] for row in rows])
        for row, token in zip(rows, causal.tree.logits([own[-1] for own in slots]).argmax(1).tolist(), strict=True):
            row.append(token)
    ends = [row.pop() for row in rows]
    lm = replace(causal, eos=max(ends, key=ends.count))
    rows = [row for row, end in zip(rows, ends, strict=True) if end == lm.eos]
    batch = masked.vocabulary.encode([text for text in TEXTS if len(text) > 20] * 4)
    tokens = batch.tokens.clone()
    for place in [*range(batch.width)] * 3:
        index = (batch.lengths > place).nonzero()[:, 0]
        asked = replace(batch, tokens=tokens.clone()).rows(index)
        asked.tokens[:, place] = masked.vocabulary.mask_id
        some = masked.log_probs(asked, torch.arange(len(index)), torch.full_like(index, place))
        tokens[index, place] = some.argmax(1)
    return {
        "fluency": (lambda: Fluency(lm.forgetful()), Batch.of(rows, lm.vocabulary)),
        "pseudo-likelihood": (lambda: PseudoLikelihood(masked.forgetful()), replace(batch, tokens=tokens)),
    }


NAMES = ["fluency", "fluency per token", "causal", "seq2seq", "unilm", "pseudo-likelihood", "unmasked likelihood"]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def single_log_probs(tiny: Tiny, dtype: torch.dtype) -> Tensor:
    """(K,) of single tokens: those of texts, and the likeliest at each place."""
    masked, causal = sharp(tiny.masked(dtype=dtype)), sharp(tiny.causal(dtype=dtype))
    own, rows = masked.vocabulary.encode(TEXTS), causal.after(causal.vocabulary.encode(TEXTS).token_lists(), TEXTS)
    row, place = own.present.nonzero(as_tuple=True)
    best = masked.log_probs(own, row, place).argmax(1)
    slots = [slot for found in causal.tree.read(rows) for slot in found]
    top = causal.tree.logits(slots).argmax(1).tolist()
    return torch.cat(
        [
            masked.token_log_probs(own, row, place, best),
            masked.token_log_probs(own, row, place, own.tokens[row, place]),
            torch.tensor(causal.tree.log_probs(slots, top), dtype=torch.float64),
            masked.log_probs(own, row, place).amax(1).double(),
        ]
    )


def in_low_precision(patch: pytest.MonkeyPatch) -> None:
    """The broken twin: products and sums in the dtype of the weights, and nothing clamped."""
    patch.setattr(projection, "wide", lambda numbers: numbers)
    for module in (contexts, prefix_tree, seq2seq, unilm):
        patch.setattr(module, "log_prob", lambda logit, log_sum: logit.double() - log_sum.double())


@every_dtype
def test_no_token_is_likelier_than_certain(tiny: Tiny, dtype: torch.dtype) -> None:
    found = single_log_probs(tiny, dtype)
    assert found.max() <= 0
    assert found.max() > -0.01


def test_in_low_precision_some_are(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    in_low_precision(monkeypatch)
    assert single_log_probs(tiny, torch.bfloat16).max() > 0.01


@every_dtype
def test_a_token_has_the_probability_that_all_together_give_it(tiny: Tiny, dtype: torch.dtype) -> None:
    """One product for a token, one for all: in float32 they are the same but for its rounding."""
    masked = sharp(tiny.masked(dtype=dtype))
    batch = masked.vocabulary.encode(TEXTS)
    row, place = batch.present.nonzero(as_tuple=True)
    wanted = batch.tokens[row, place]
    found = masked.token_log_probs(batch, row, place, wanted)
    whole = masked.log_probs(batch, row, place)
    torch.testing.assert_close(found, whole.gather(1, wanted[:, None])[:, 0].double(), atol=2e-5, rtol=1e-6)
    torch.testing.assert_close(whole.exp().sum(1), torch.ones(len(row)), atol=1e-5, rtol=0)


def limits_hold(make: Made, batch: Batch, objective: Objective | None = None) -> bool:
    """Whether a limit at a text's own energy leaves the energy as it is, to the last bit, however it is come by."""
    whole = make().energy(batch)
    assert (whole >= make().lower_bound).all()
    for before in (batch, batch.rows(torch.arange(len(batch)).flip(0))):
        found = make().energy_within(batch, Limit(whole, before))
        alone = [
            make().energy_within(batch.rows([i]), Limit(whole[[i]], before.rows([i]))) for i in range(0, len(batch), 3)
        ]
        weighted = evaluate(0.3 * make(), batch).energy
        again = evaluate(0.3 * make(), batch, limit=Limit(weighted, before)).energy
        if not (found.equal(whole) and torch.cat(alone).equal(whole[::3]) and again.equal(weighted)):
            return False
    return True


@every_dtype
@pytest.mark.parametrize("name", NAMES)
def test_a_limit_at_its_own_energy_refuses_no_text(tiny: Tiny, bart_path: Path, dtype: torch.dtype, name: str) -> None:
    assert limits_hold(*objectives(tiny, bart_path, dtype)[name])


@pytest.fixture
def _small_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are asked whether to go on after a few tokens."""
    monkeypatch.setattr("textsearch.models.causal._ROUND", 1)
    monkeypatch.setattr("objectives.pseudo_likelihood._ROUND", 1)


@every_dtype
@pytest.mark.usefixtures("_small_rounds")
@pytest.mark.parametrize("name", ["fluency", "pseudo-likelihood"])
def test_nor_one_that_is_nearly_certain(tiny: Tiny, dtype: torch.dtype, name: str) -> None:
    assert limits_hold(*sure_of(tiny, dtype)[name])


@pytest.mark.usefixtures("_small_rounds")
@pytest.mark.parametrize("name", ["fluency", "pseudo-likelihood"])
def test_in_low_precision_some_are_refused(tiny: Tiny, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, batch = sure_of(tiny, torch.bfloat16)[name]
    in_low_precision(monkeypatch)
    whole = made().energy(batch)
    assert not made().energy_within(batch, Limit(whole, batch)).equal(whole)


def test_a_limit_that_rounding_lowers_is_caught(tiny: Tiny, bart_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: what is left of a limit for a term of weight 0.3 is taken as it comes."""
    monkeypatch.setattr("textsearch.objective._rounding", lambda *_: 0.0)
    made, batch = objectives(tiny, bart_path, torch.float32)["pseudo-likelihood"]
    assert not limits_hold(made, batch)
