"""Loading: quiet when it works, and when it does not, an error that names the value and the remedy."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.tiny import FEW, PIECES, Tiny, bert, llama, save, seeded, shape, word_tokenizer, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from textsearch.models import causal_lm, masked_lm, sentence_encoder
from textsearch.models.checkpoints.loading import pick_device
from textsearch.models.checkpoints.silence import silenced

LOADERS = pytest.mark.parametrize("load", [masked_lm, causal_lm], ids=["masked", "causal"])


def copy(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def test_loading_prints_nothing(tiny: Tiny, capfd: pytest.CaptureFixture[str]) -> None:
    masked, causal = tiny.masked(), tiny.causal()
    masked.log_probs(masked.vocabulary.encode(["dog"]), torch.tensor([0]), torch.tensor([0]))
    causal.score(causal.vocabulary.encode(["The dog"]))
    with pytest.raises(ValueError, match="over the model's limit"):
        causal.vocabulary.encode(["a" * 5000])
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_loading_leaves_the_settings_of_transformers_alone(tiny: Tiny) -> None:
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_info()
    logging.enable_progress_bar()
    try:
        with pytest.raises(ZeroDivisionError), silenced():
            assert logging.get_verbosity() == logging.ERROR
            assert not logging.is_progress_bar_enabled()
            _ = 1 / 0
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled()
    finally:
        logging.set_verbosity(level)


def test_models_are_ready_for_use(tiny: Tiny) -> None:
    for model in (tiny.masked().model, tiny.causal().model):
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_paths_may_be_strings(tiny: Tiny) -> None:
    lm = causal_lm(str(tiny.causal_path), device=torch.device("cpu"))
    assert lm.eos == 0


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device(torch.device("meta")) == torch.device("meta")
    assert pick_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")


@LOADERS
def test_an_unknown_path(load: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"cannot load the model '/no/such/folder': .* pass the path of a folder, or"):
        load("/no/such/folder")


@LOADERS
def test_an_empty_folder(load: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"cannot load the model '{tmp_path}'.* must hold config.json, model.safeten"):
        load(tmp_path)


@LOADERS
def test_a_folder_without_weights(load: Callable[..., Any], tiny: Tiny, tmp_path: Path) -> None:
    folder = copy(tiny.masked_path if load is masked_lm else tiny.causal_path, tmp_path / "bare")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=rf"cannot load the model '{folder}'.* must hold .*model.safetensors"):
        load(folder)


@LOADERS
def test_weights_in_pickle_are_refused(load: Callable[..., Any], tiny: Tiny, tmp_path: Path) -> None:
    lm = tiny.masked() if load is masked_lm else tiny.causal()
    folder = copy(tiny.masked_path if load is masked_lm else tiny.causal_path, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save(lm.model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=rf"cannot load the model '{folder}'.*model.safetensors"):
        load(folder)


@LOADERS
def test_weights_cut_short(load: Callable[..., Any], tiny: Tiny, tmp_path: Path) -> None:
    folder = copy(tiny.masked_path if load is masked_lm else tiny.causal_path, tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=rf"cannot load the model '{folder}'"):
        load(folder)


def test_a_causal_checkpoint_is_no_masked_model(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=rf"cannot load the model '{tiny.causal_path}': Unrecognized configuration"):
        masked_lm(tiny.causal_path)


def test_an_encoder_needs_no_pooler(tiny: Tiny) -> None:
    """A sentence vector is a mean; a masked model's checkpoint has the encoder, and nothing else of it is asked."""
    vectors = sentence_encoder(tiny.masked_path).encode(["the old dog sat", "the cat"])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


def test_a_checkpoint_without_a_masked_head(tmp_path: Path) -> None:
    folder = save(tmp_path / "encoder", bert(len(PIECES)).bert, wordpiece_tokenizer())
    with pytest.raises(ValueError, match=rf"'{folder}' has no weights for cls.predictions.* use a model trained for"):
        masked_lm(folder)


def test_a_masked_checkpoint_is_no_causal_model(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=rf"'{tiny.masked_path}' names no start and end tokens: pass bos= and eos="):
        causal_lm(tiny.masked_path)


def test_a_model_that_looks_ahead_is_no_causal_model(tiny: Tiny) -> None:
    """Its scores would be no probabilities: each token is predicted from the very token that it is."""
    with pytest.raises(ValueError, match="causal"):
        causal_lm(tiny.masked_path, bos=2, eos=3)


def test_a_tokenizer_without_a_mask(tmp_path: Path) -> None:
    folder = save(tmp_path / "maskless", bert(len(FEW) + 2), word_tokenizer(FEW))
    with pytest.raises(ValueError, match=rf"'{folder}' has no mask token; use a masked language model"):
        masked_lm(folder)


def test_a_tokenizer_without_an_end(tmp_path: Path) -> None:
    folder = save(tmp_path / "endless", llama(len(FEW) + 2, end=None), word_tokenizer(FEW, unk_token="<other>"))
    with pytest.raises(ValueError, match=rf"'{folder}' names no start and end tokens: pass bos= and eos="):
        causal_lm(folder)
    lm = causal_lm(folder, bos=0, eos=0, device="cpu")
    assert lm.score(lm.vocabulary.encode(["dog"])).log_prob.isfinite().all()


def test_start_and_end_may_stand_in_the_configuration(tmp_path: Path) -> None:
    folder = save(tmp_path / "configured", llama(len(FEW) + 2, end=3), word_tokenizer(FEW, unk_token="<other>"))
    lm = causal_lm(folder, device="cpu")
    assert (lm.bos, lm.eos) == (3, 3)


def test_a_missing_start_is_the_end(tmp_path: Path) -> None:
    folder = save(tmp_path / "startless", llama(len(FEW) + 2, end=None), word_tokenizer(FEW, eos_token="</s>"))
    lm = causal_lm(folder, device="cpu")
    assert (lm.bos, lm.eos) == (0, 0)


@LOADERS
def test_code_of_a_checkpoint_does_not_run_unasked(load: Callable[..., Any], tiny: Tiny, tmp_path: Path) -> None:
    assert inspect.signature(load).parameters["trust_remote_code"].default is False
    folder = copy(tiny.masked_path if load is masked_lm else tiny.causal_path, tmp_path / "with_code")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    kind = "AutoModelForMaskedLM" if load is masked_lm else "AutoModelForCausalLM"
    config = (folder / "config.json").read_text().rstrip().rstrip("}").rstrip()
    names = f'{{"AutoConfig": "own.OwnConfig", "{kind}": "own.OwnModel"}}'
    own = config.replace('"model_type": "', '"model_type": "own_')
    (folder / "config.json").write_text(f'{own}, "auto_map": {names}}}')
    with pytest.raises(ValueError, match=rf"cannot load the model '{folder}'"):
        load(folder)
    assert not (tmp_path / "ran").exists()


def test_the_longest_text_of_a_model_of_an_odd_width(tmp_path: Path) -> None:
    folder = save(tmp_path / "odd", bert(len(PIECES), max_position_embeddings=53), wordpiece_tokenizer())
    assert_longest_text_is_read(folder)


def test_the_longest_text_of_a_model_with_an_offset(tmp_path: Path) -> None:
    """RoBERTa numbers its positions from 2: two fewer tokens fit than it has positions."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    config = RobertaConfig(**shape(len(PIECES)), max_position_embeddings=66, pad_token_id=1)
    assert_longest_text_is_read(save(tmp_path / "offset", seeded(RobertaForMaskedLM, config), wordpiece_tokenizer()))


def assert_longest_text_is_read(folder: Path) -> None:
    lm = masked_lm(folder, device="cpu")
    batch = lm.vocabulary.encode(["!" * lm.vocabulary.longest])
    assert lm.log_probs(batch, torch.tensor([0]), torch.tensor([0])).isfinite().all()
