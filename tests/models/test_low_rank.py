"""Low-rank adapters: added to the weights they are what they were beside them, and travel with the model beneath."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from textsearch.models import causal_lm, masked_lm
from textsearch.models.checkpoints import low_rank
from textsearch.models.recipes import is_default, recipe_of


def adapted(tiny: Tiny, folder: Path, rank: int = 3, scale: float = 0.5) -> Any:
    """A tiny model with random adapters beside its weights, and a folder with them in the format of peft."""
    lm, rng = tiny.causal(), torch.Generator().manual_seed(3)
    tensors: dict[str, torch.Tensor] = {}
    kinds: set[str] = set()
    for name, module in lm.model.named_modules():
        if isinstance(module, torch.nn.Linear) and ".layers." in name:
            # float16 holds what the file will
            a = torch.randn(rank, module.in_features, generator=rng).mul(0.3).half()
            b = torch.randn(module.out_features, rank, generator=rng).mul(0.3).half()
            tensors |= {f"base_model.model.{name}.lora_A.weight": a, f"base_model.model.{name}.lora_B.weight": b}
            kinds.add(name.rpartition(".")[2])
            module.register_forward_hook(
                lambda _, read, told, a=a, b=b: told + scale * (read[0] @ a.float().T @ b.float().T)
            )
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / low_rank.WEIGHTS)
    said = {"peft_type": "LORA", "base_model_name_or_path": str(tiny.causal_path), "r": rank, "use_dora": False}
    said |= {"lora_alpha": scale * rank, "target_modules": sorted(kinds), "bias": "none", "alpha_pattern": {}}
    (folder / low_rank.CONFIG).write_text(json.dumps(said), encoding="utf-8")
    return lm


def scores(lm: Any) -> list[float]:
    return [float(value) for value in lm.score(lm.vocabulary.encode(TEXTS), "A cat. ").log_prob]


def test_what_is_added_to_the_weights_is_what_stood_beside_them(tiny: Tiny, tmp_path: Path) -> None:
    beside = adapted(tiny, tmp_path)
    merged = causal_lm(tmp_path, device="cpu")
    assert scores(merged) == pytest.approx(scores(beside), abs=1e-3)
    # the control: the model beneath, and another scale
    assert scores(tiny.causal()) != pytest.approx(scores(beside), abs=0.1)
    settings = tmp_path / low_rank.CONFIG
    settings.write_text(settings.read_text().replace('"lora_alpha": 1.5', '"lora_alpha": 1.8'))
    assert scores(causal_lm(tmp_path, device="cpu")) != pytest.approx(scores(beside), abs=1e-3)
    # rank-stabilised: alpha / sqrt(r)
    stable = {**json.loads(settings.read_text()), "use_rslora": True, "lora_alpha": 0.5 * 3**0.5}
    settings.write_text(json.dumps(stable))
    assert scores(causal_lm(tmp_path, device="cpu")) == pytest.approx(scores(beside), abs=1e-3)


def test_an_adapted_model_travels_and_is_the_same_where_it_arrives(tiny: Tiny, tmp_path: Path) -> None:
    adapted(tiny, tmp_path / "adapter")
    lm = causal_lm(tmp_path / "adapter", device="cpu")
    recipe = recipe_of(lm.model)
    assert recipe is not None and recipe.name == str(tmp_path / "adapter") and not is_default(lm.model)
    assert scores(recipe.model() and pickle.loads(pickle.dumps(lm))) == scores(lm)
    assert recipe.tokenizer().encode("a cat") == lm.vocabulary.tokenizer.encode("a cat")
    # its mark is that of the model beneath too
    settings = tmp_path / "adapter" / low_rank.CONFIG
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in tiny.causal_path.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    settings.write_text(settings.read_text().replace(str(tiny.causal_path), str(moved)))
    other = causal_lm(tmp_path / "adapter", device="cpu")
    marked = recipe_of(other.model)
    assert marked is not None
    weights = load_file(moved / "model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1.0}, moved / "model.safetensors", {"format": "pt"})
    assert recipe_of(other.model) is None
    del other
    with pytest.raises(ValueError, match="not what it was when it was loaded"):
        marked.model()


BROKEN: dict[str, tuple[str, Any, str]] = {
    "not JSON": ("config", "{", "does not say peft_type"),
    "itself": ("config", "itself", "is an adapter too"),
    "no base": ("config", {"base_model_name_or_path": None}, "only LORA adapters that name the model beneath"),
    "another kind": ("config", {"peft_type": "IA3"}, "peft_type='IA3'"),
    "dora": ("config", {"use_dora": True}, "use_dora=True is not read here"),
    "ranks": ("config", {"rank_pattern": {"q_proj": 4}}, "rank_pattern="),
    "another rank": ("config", {"r": 2}, "pass the adapter of this model"),
    "half": ("weights", "lora_B", "should hold pairs of lora_A and lora_B"),
    "another model": ("weights", "rename", "and the model .* has None there"),
    "nan": ("weights", "nan", "nan or inf"),
    "cut": ("weights", "cut", "fetch or save it again"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_adapter_that_cannot_be_added_is_refused(tiny: Tiny, tmp_path: Path, kind: str) -> None:
    adapted(tiny, tmp_path)
    where, change, message = BROKEN[kind]
    settings, weights = tmp_path / low_rank.CONFIG, tmp_path / low_rank.WEIGHTS
    if isinstance(change, dict):
        settings.write_text(json.dumps({**json.loads(settings.read_text()), **change}))
    elif change == "itself":
        own = str(tmp_path / ".." / tmp_path.name)
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "base_model_name_or_path": own}))
    elif where == "config":
        settings.write_text(change)
    elif change == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        tensors = load_file(weights)
        if change == "lora_B":
            tensors = {name: value for name, value in tensors.items() if change not in name}
        elif change == "rename":
            tensors = {name.replace("layers.0", "layers.7"): value for name, value in tensors.items()}
        else:
            tensors = {name: value * torch.nan for name, value in tensors.items()}
        save_file(tensors, weights)
    with pytest.raises(ValueError, match=message):
        causal_lm(tmp_path, device="cpu")


def test_an_adapter_of_another_kind_of_model_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    adapted(tiny, tmp_path)
    with pytest.raises(ValueError, match="model"):
        masked_lm(tmp_path, device="cpu")
