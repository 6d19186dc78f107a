"""Load a transformers checkpoint the same careful way everywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import regex
import torch

from textsearch.models.checkpoints import low_rank
from textsearch.models.checkpoints.characters import character_tokenizer, is_character_level
from textsearch.models.checkpoints.default import SMOLLM2_HUB_ID, smollm2_folder
from textsearch.models.checkpoints.hub import check_path, reachable
from textsearch.models.checkpoints.silence import silenced
from textsearch.models.reading.finite import check_finite, unsound_weights

_INDEX = "model.safetensors.index.json"
_LAYER = regex.compile(r"(?:^|\.)(?:layers?|blocks?|h)\.(\d+)\.")


def load(
    auto_class: Any,
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str | None,
    dtype: torch.dtype,
    trust_remote_code: bool,
) -> tuple[Any, Any]:
    """The model, in evaluation mode on its device, and its tokenizer; safetensors only.

    The folder of a low-rank adapter gives the model that its settings name, with the adapter added, and that model's
    tokenizer.

    Raises:
        ValueError: no such model, one of another kind, one without safetensors or without a fast tokenizer, or files
            that cannot be read, do not fit together, or hold no numbers.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

    name = str(name_or_path)
    check_path(name_or_path)
    if (whole := beneath(name)) != name:
        model, tokenizer = load(auto_class, whole, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
        low_rank.merge(model, Path(name))
        _check_weights(name, model)
        return model, tokenizer
    check_index(Path(name))
    # what a hub that does not answer has given before is still here
    here = {"local_files_only": not Path(name).is_dir() and not reachable()}
    try:
        with silenced():
            tokenizer = load_tokenizer(name, trust_remote_code, **here)
            config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code, **here)
            model, report = auto_class.from_pretrained(
                name,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
                **here,
            )
    except MemoryError:
        raise
    # what a damaged file makes of the libraries that read it can be anything
    except Exception as error:
        if _out_of_memory(error):
            raise
        first = _first_line(error)
        if first.startswith("Unrecognized configuration class") and (loader := right_loader(name)):
            hint = f"it is a model of another kind: load it with {loader}()"
        elif Path(name).is_dir():
            hint = "the folder must hold config.json, model.safetensors and tokenizer files that belong together"
        else:
            hint = "pass the path of a folder, or the id of a model that this machine can reach"
        raise ValueError(f"cannot load the model {name!r}: {first} -- {hint}") from error
    if getattr(config, "is_encoder_decoder", False) and auto_class in (
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForMaskedLM,
    ):
        raise ValueError(
            f"{name!r} has an encoder and a decoder, and half of it would not be used: load it with seq2seq_lm()"
        )
    # the pooler of a bare encoder is never asked: sentence vectors are means
    unused = ("pooler.",) if auto_class is AutoModel else ()
    if missing := sorted(key for key in report["missing_keys"] if not key.startswith(unused)):
        raise ValueError(
            f"{name!r} has no weights for {', '.join(missing[:3])}: it is not a {auto_class.__name__} checkpoint, and "
            "its answers would be random; use a model trained for this task"
        )
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"{name!r} has no fast tokenizer (tokenizer.json); save one next to the weights")
    model = model.eval().requires_grad_(False)
    _check_fit(name, model, tokenizer, report)
    model = model.to(pick_device(device))
    _try(name, model)
    return model, tokenizer


def check_index(folder: Path) -> None:
    """Refuse an index that sends the reader to files outside its folder, or says nothing.

    Raises:
        ValueError: it cannot be read, or a file lies elsewhere or is not there.
    """
    path = folder / _INDEX
    if not path.is_file() or (folder / "model.safetensors").is_file():
        return
    try:
        files = {str(file) for file in json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"cannot load the model {str(folder)!r}: {_INDEX} has no map from weights to files ({_first_line(error)}); "
            "save the checkpoint again"
        ) from error
    for file in sorted(files):
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise ValueError(
                f"cannot load the model {str(folder)!r}: {_INDEX} points to {file!r}, outside the folder; do not use "
                "this checkpoint, or move the file into the folder"
            )
        if not (folder / file).is_file():
            raise ValueError(f"cannot load the model {str(folder)!r}: {_INDEX} points to {file!r}, which is not there")


def _check_fit(name: str, model: Any, tokenizer: Any, report: dict[str, Any]) -> None:
    """Weights, settings and tokens belong together."""
    layers = int(getattr(model.config, "num_hidden_layers", None) or 0)
    beyond = [key for key in report["unexpected_keys"] if (at := _LAYER.search(key)) and int(at[1]) >= layers]
    if beyond:
        raise ValueError(
            f"cannot load the model {name!r}: config.json says {layers} layers, but there are weights for "
            f"{sorted(beyond)[0]}; put the checkpoint's own config.json there"
        )
    _check_weights(name, model)
    ids = set(tokenizer.get_vocab().values())
    if not ids - set(tokenizer.all_special_ids):
        raise ValueError(
            f"cannot load the model {name!r}: its tokenizer has no tokens but special ones; put the checkpoint's own "
            "tokenizer.json there"
        )
    if (most := max(ids)) >= (known := int(model.get_input_embeddings().num_embeddings)):
        raise ValueError(
            f"cannot load the model {name!r}: its tokenizer has tokens up to number {most}, the model knows {known}; "
            "put the checkpoint's own tokenizer.json there"
        )


def _check_weights(name: str, model: Any) -> None:
    if bad := unsound_weights(model):
        raise ValueError(
            f"cannot load the model {name!r}: {len(bad)} of its weights hold nan or inf, such as {bad[0]!r}; fetch or "
            "save the checkpoint again, or load it with another dtype"
        )


def beneath(name: str) -> str:
    """The name or folder of the model beneath an adapter, fetched if it is a default one; of a whole model its own."""
    if not low_rank.is_adapter(Path(name)):
        return name
    own = str(low_rank.settings(Path(name))["base_model_name_or_path"])
    return str(smollm2_folder()) if own == SMOLLM2_HUB_ID else own


def _try(name: str, model: Any) -> None:
    """One pass over two tokens: settings that cannot be, such as -1 heads, show here."""
    two = {"input_ids": torch.zeros(1, 2, dtype=torch.int64, device=model.device)}
    if getattr(model.config, "is_encoder_decoder", False):
        two["decoder_input_ids"] = two["input_ids"]
    try:
        with torch.no_grad():
            answer = model(**two)[0]
    except MemoryError:
        raise
    except Exception as error:
        if _out_of_memory(error):
            raise
        raise ValueError(
            f"cannot load the model {name!r}: it cannot read two tokens ({_first_line(error)}); put the checkpoint's "
            "own config.json there"
        ) from error
    check_finite(model, answer, "numbers")


def _first_line(error: BaseException) -> str:
    """What it says, with its name where that alone says nothing."""
    lines = str(error).strip().splitlines() or [""]
    plain = isinstance(error, OSError | ValueError) and lines[0]
    return lines[0] if plain else f"{type(error).__name__}: {lines[0]}"


def _out_of_memory(error: BaseException) -> bool:
    """The machine's fault, not the checkpoint's."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def load_tokenizer(name: str, trust_remote_code: bool, **settings: bool) -> Any:
    """The checkpoint's own tokenizer; where a folder holds nothing but a `vocab.txt`, characters or WordPiece."""
    from transformers import AutoTokenizer, BertTokenizerFast

    folder = Path(name)
    if (folder / "vocab.txt").exists() and not any(
        (folder / f"tokenizer{end}").exists() for end in (".json", "_config.json")
    ):
        pieces = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
        return character_tokenizer(pieces) if is_character_level(pieces) else BertTokenizerFast.from_pretrained(name)
    return AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code, **settings)


def right_loader(name: str) -> str | None:
    """Which of `textsearch.models` loads a checkpoint of this kind, if any does."""
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto

    kind = type(AutoConfig.from_pretrained(name))
    # some kinds can be loaded in several ways; the first is what they were trained as
    for loader, kinds in (
        ("seq2seq_lm", modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING),
        ("masked_lm", modeling_auto.MODEL_FOR_MASKED_LM_MAPPING),
        ("causal_lm", modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING),
    ):
        if kind in kinds:
            return loader
    return None


def first_position(model: Any) -> int:
    """The number of a text's first position: 0, but RoBERTa and its kin count from behind the padding token's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.padding_idx) + 1
    return 0


def pick_device(device: torch.device | str | None) -> torch.device:
    """The device asked for, else an accelerator if there is one, else the CPU."""
    if device is not None:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")
