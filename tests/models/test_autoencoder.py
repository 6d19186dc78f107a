"""Text autoencoders: no position sees its own token, one pass tells all, and what is saved is what is loaded."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from objectives import PseudoLikelihood
from samplers import DelayedAcceptance, Gibbs, MetropolisHastings
from samplers.proposals import AllSites, LocallyBalanced, MetropolisedGibbs, PathAuxiliary, Replace
from tests.models.tiny import PIECES, TEXTS, shape, wordpiece_tokenizer
from textsearch import generate
from textsearch.batch import Batch
from textsearch.models import text_autoencoder
from textsearch.models.autoencoder import network as networks
from textsearch.models.autoencoder.lm import TextAutoencoder
from textsearch.models.autoencoder.network import AutoencoderNetwork, Shape
from textsearch.models.checkpoints.default import TEXT_AUTOENCODER
from textsearch.models.defaults import default_masked_lm
from textsearch.models.protocols import needs_mask
from textsearch.objective import Cost, Limit
from textsearch.testing import check_objective, letters
from textsearch.testing.toys import TableMaskedLM


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random one, with weights that make all conditionals depend on all around."""
    path = tmp_path_factory.mktemp("autoencoder")
    torch.manual_seed(0)
    tokenizer = wordpiece_tokenizer()
    sizes: dict[str, Any] = shape(len(PIECES), max_position_embeddings=64)
    sizes.pop("initializer_range")
    network = AutoencoderNetwork(Shape(mask_id=tokenizer.mask_token_id, **sizes))
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.3)
    network.save(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def lm(folder: Path) -> TextAutoencoder:
    return text_autoencoder(folder, device="cpu")


def all_laws(lm: TextAutoencoder, batch: Batch) -> Tensor:
    """(K, V) of every position."""
    return lm.log_probs(batch, *batch.present.nonzero().unbind(1))


@contextmanager
def sees(diagonal: bool) -> Iterator[None]:
    """The twin: positions attend to themselves as well."""
    attention = torch.nn.functional.scaled_dot_product_attention

    def broken(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor) -> Tensor:
        eye = torch.eye(attn_mask.shape[-1], dtype=torch.bool)
        return attention(query, key, value, attn_mask=attn_mask | eye)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "scaled_dot_product_attention", broken if diagonal else attention)
        yield


def blind(lm: TextAutoencoder) -> bool:
    """Whether no conditional changes, to the bit, with the token at its position, and all others do."""
    batch = lm.vocabulary.encode(["The old dog sat by the old tree."])
    before = all_laws(lm, batch)
    allowed = lm.vocabulary.allowed.nonzero().squeeze(-1).tolist()
    for place in range(batch.width):
        for token in (allowed[place % len(allowed)], allowed[-1 - place], lm.vocabulary.mask_id):
            if token == int(batch.tokens[0, place]):
                continue
            changed = replace(batch, tokens=batch.tokens.index_fill(1, torch.tensor([place]), token))
            after = all_laws(lm, changed)
            if not before[place].equal(after[place]):
                return False
            others = torch.arange(batch.width) != place
            assert bool((before[others] != after[others]).any(1).all())
    return True


def test_no_position_sees_its_own_token(lm: TextAutoencoder) -> None:
    assert blind(lm)


def test_one_that_attends_to_itself_is_caught(lm: TextAutoencoder) -> None:
    with sees(diagonal=True):
        assert not blind(lm)


def test_a_query_that_begins_with_the_token_is_caught(lm: TextAutoencoder, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = AutoencoderNetwork.forward

    def broken(self: AutoencoderNetwork, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        seen: Tensor = forward(self, input_ids, attention_mask) + self.words(input_ids)
        return seen

    monkeypatch.setattr(AutoencoderNetwork, "forward", broken)
    assert not blind(lm)


def test_the_pseudo_likelihood_is_that_of_masked_copies_in_one_row(lm: TextAutoencoder) -> None:
    batch = lm.vocabulary.encode(TEXTS)
    objective = PseudoLikelihood(lm.forgetful())
    found = objective.energy(batch)
    assert objective.mlm.usage.rows == len({tuple(row) for row in batch.token_lists() if row})  # type: ignore[attr-defined]
    assert (objective.cost, needs_mask(lm)) == (Cost.MODEL, False)
    rows, places = batch.present.nonzero().unbind(1)
    copies = batch.rows(rows)
    masked = replace(copies, tokens=copies.tokens.scatter(1, places[:, None], lm.vocabulary.mask_id))
    terms = lm.token_log_probs(masked, torch.arange(len(rows)), places, batch.tokens[rows, places])
    want = torch.zeros(len(batch), dtype=torch.float64).index_add(0, rows, -terms)
    torch.testing.assert_close(found, want, atol=1e-9, rtol=0)
    assert objective.energy_within(batch, Limit(torch.zeros(len(batch)), batch)).equal(found)


def test_rows_do_not_mix(lm: TextAutoencoder) -> None:
    check_objective(PseudoLikelihood(lm), lm.vocabulary.encode(TEXTS))


def test_a_model_that_needs_no_mask_is_not_shown_one() -> None:
    class Unmasked:
        """The table's conditionals do not look at their own token: the two ways must agree."""

        needs_mask = False

        def __init__(self, model: TableMaskedLM) -> None:
            self.vocabulary, self.model = model.vocabulary, model

        def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
            assert not bool((batch.tokens == batch.vocabulary.mask_id)[batch.present].any())
            return self.model.log_probs(batch, rows, positions)

    table = TableMaskedLM.random(letters("abc"), seed=0)
    batch = table.vocabulary.encode(["abca", "b", ""])
    assert PseudoLikelihood(Unmasked(table)).energy(batch).equal(PseudoLikelihood(table).energy(batch))


@pytest.mark.parametrize("kind", [Replace, LocallyBalanced, MetropolisedGibbs, PathAuxiliary, AllSites])
def test_samplers_take_it_as_any_masked_model(lm: TextAutoencoder, kind: Any) -> None:
    proposal = kind(lm, step_size=1.0) if kind is AllSites else kind(lm)
    target = PseudoLikelihood(lm)
    start = lm.vocabulary.encode(["the old dog sat ."]).repeat(2)
    for sampler in (MetropolisHastings(proposal), DelayedAcceptance(proposal, target)):
        result = generate(target, sampler, start, steps=4, seed=0)
        torch.testing.assert_close(
            torch.as_tensor(result.energies), target.energy(result.batch), atol=1e-9, rtol=0, check_dtype=False
        )


def test_a_step_of_metropolised_gibbs_is_the_pass_of_its_energy(lm: TextAutoencoder) -> None:
    """All that it reads of a text is what its pseudo-likelihood reads; `Replace` reads a masked text besides."""
    start = lm.vocabulary.encode(["the old dog sat ."])
    rows = {}
    for name, proposal in (("gibbs", MetropolisedGibbs(lm)), ("replace", Replace(lm, pieces=(1.0,)))):
        one = lm.forgetful()
        target = PseudoLikelihood(one)
        sampler = MetropolisHastings(replace(proposal, mlm=one))
        generate(target, sampler, start, steps=8, seed=0)
        rows[name] = one.usage.rows
    assert rows["gibbs"] <= 1 + 8 < rows["replace"]


def test_gibbs_takes_it(lm: TextAutoencoder) -> None:
    start = lm.vocabulary.encode(["the old dog sat ."])
    assert len(generate(PseudoLikelihood(lm), Gibbs(lm, 3), start, steps=4, seed=0).texts) == 1


def test_it_travels_as_the_name_of_its_folder(lm: TextAutoencoder) -> None:
    data = pickle.dumps(lm)
    assert len(data) < 20_000
    again: TextAutoencoder = pickle.loads(data)
    assert again.model is lm.model and not again.usage.rows
    batch, other = lm.vocabulary.encode(TEXTS), again.vocabulary.encode(TEXTS)
    assert all_laws(lm, batch).equal(all_laws(again, other))


def test_the_default_goes_with_all_defaults() -> None:
    default = text_autoencoder(device="cpu")
    assert default.vocabulary is default_masked_lm().vocabulary
    right, wrong = default.vocabulary.encode(
        ["the city is in the north .", "the city is in the wished ."]
    ).token_lists()
    energy = PseudoLikelihood(default).energy(Batch.of([right, wrong], default.vocabulary))
    assert float(energy[0]) + 3 < float(energy[1])
    own = text_autoencoder(TEXT_AUTOENCODER, device="cpu")
    assert own.vocabulary.tokenizer.get_vocab() == default.vocabulary.tokenizer.get_vocab()
    start = default.vocabulary.encode(["the city is in the north ."])
    result = generate(PseudoLikelihood(default), MetropolisHastings(Replace()), start, steps=1, seed=0)
    assert len(result.texts) == 1
    again: TextAutoencoder = pickle.loads(pickle.dumps(default))
    assert again.model is default.model and again.vocabulary.size == default.vocabulary.size


def test_packing_keeps_it_within_half_a_step(folder: Path, lm: TextAutoencoder, tmp_path: Path) -> None:
    lm.model.save(tmp_path)
    again = AutoencoderNetwork.load(tmp_path)
    for name, weight in lm.model.state_dict().items():
        step = weight.abs().amax(-1, keepdim=True) / 127
        assert bool(((again.state_dict()[name] - weight).abs() <= 0.51 * step + 1e-7).all()), name


def test_what_cannot_be_loaded(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot load the text autoencoder .*training/text_autoencoder"):
        text_autoencoder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="not that of a text autoencoder"):
        text_autoencoder(tmp_path)
    from textsearch.models.vocabulary import TokenizerVocabulary

    other = TokenizerVocabulary(wordpiece_tokenizer(PIECES[:-1]), 32)
    with pytest.raises(ValueError, match="has other tokens than the vocabulary"):
        text_autoencoder(folder, vocabulary=other)
    longer = TokenizerVocabulary(wordpiece_tokenizer(), 510)
    with pytest.raises(ValueError, match="reads texts of 62 tokens, and the vocabulary allows 510: train it with 512"):
        text_autoencoder(folder, vocabulary=longer)
    for change, message in (
        ({"num_attention_heads": 3}, "3 heads do not share a width of"),
        ({"mask_id": 10**6}, "mask_id=1000000 is none of"),
    ):
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
        config = json.loads((folder / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match=message):
            text_autoencoder(tmp_path)


def test_a_position_that_is_not_there(lm: TextAutoencoder) -> None:
    with pytest.raises(IndexError, match="position 9 of a text of 1 tokens"):
        lm.log_probs(lm.vocabulary.encode(["dog"]), torch.tensor([0]), torch.tensor([9]))
