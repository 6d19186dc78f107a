"""Models on their way to another process: as recipes, and loaded there once.

A model that was loaded from a checkpoint travels as the name of the checkpoint, how it was loaded, and a hash of its
files. Whoever unpickles it loads it, unless the process has it already. A model that was built in memory, or changed
since it was loaded, travels by value.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar, final
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch

from textsearch.cache import cache_folder
from textsearch.models.checkpoints import loading, low_rank
from textsearch.models.checkpoints.default import (
    CORRECTOR,
    MASKED_LM,
    MINILM_FOLDER,
    SMOLLM2_FOLDER,
    SMOLLM2_HUB_ID,
    TEXT_AUTOENCODER,
    minilm_folder,
    smollm2_folder,
)
from textsearch.models.checkpoints.hub import reachable
from textsearch.models.checkpoints.quantized import load_packed
from textsearch.models.checkpoints.silence import silenced

T = TypeVar("T")

PACKED = "packed"
"""Kind of the masked model that comes with this package."""

NGRAM = "ngram"
"""Kind of a folder of n-grams."""

AUTOENCODER = "text autoencoder"
"""Kind of a folder of a packed text autoencoder."""

ENGLISH_CORRECTOR = "corrector"
"""Kind of the corrector that comes with this package."""
_PACKAGED = {PACKED: MASKED_LM, AUTOENCODER: TEXT_AUTOENCODER, ENGLISH_CORRECTOR: CORRECTOR}
"""Default models that come with the package."""

_READ = {".json", ".txt", ".model", ".jinja", ".safetensors", ".bin", ".gguf", ".onnx", ".npy", ".py"}
_SAMPLED = 64  # numbers of each tensor that are looked at
_TURN = RLock()

Stamp = tuple[tuple[str, int, int], ...]
"""Files with their sizes and times."""


@final
@dataclass(frozen=True)
class Recipe:
    """How a model and its tokenizer are loaded.

    Attributes:
        kind: the class of transformers that loads it, `PACKED`, `NGRAM`, `AUTOENCODER` or `ENGLISH_CORRECTOR`.
        name: a folder or a hub id; None for the default model of its kind.
        device: as it was asked for; None for the one that the process picks.
        dtype: of the weights, by its name in torch.
        trust_remote_code: whether code of the checkpoint may run.
        mark: sha256 of the checkpoint's files.
    """

    kind: str
    name: str | None
    device: str | None
    dtype: str
    trust_remote_code: bool
    mark: str = ""

    def model(self) -> Any:
        """The model, loaded once a process.

        Raises:
            ValueError: it cannot be loaded, or is not what it was.
        """
        with _TURN:
            found = _MODELS.get(self)
            if found is None:
                found, tokenizer = self._checked(self._fresh)
                _MODELS[self] = found
                _TOKENIZERS.setdefault(self, tokenizer)
            return found

    def tokenizer(self) -> Any:
        """Its tokenizer, loaded once a process; raises as `model` does."""
        with _TURN:
            found = _TOKENIZERS.get(self)
            if found is None:
                found = self._checked(self._fresh_tokenizer)
                _TOKENIZERS[self] = found
            return found

    def _checked(self, make: Callable[[], T]) -> T:
        """What `make` loads, from files that have the mark."""
        folder = _folder(self.kind, self.name)
        if folder is not None:
            self._check(folder)
        made = make()
        if folder is None:  # they had to be fetched
            self._check(_folder(self.kind, self.name))
        return made

    def _place(self) -> str:
        """The name or the folder of the checkpoint, fetched if it is a default one."""
        if self.kind in _PACKAGED and self.name is None:
            return str(_PACKAGED[self.kind])
        fetched = {"AutoModelForCausalLM": smollm2_folder, "AutoModel": minilm_folder}
        return str(fetched[self.kind]()) if self.name is None else self.name

    def _fresh(self) -> tuple[Any, Any]:
        dtype = getattr(torch, self.dtype)
        if self.kind == PACKED:
            return load_default_masked(device=self.device, dtype=dtype)
        if self.kind == NGRAM:
            return load_ngrams(Path(self._place()))
        if self.kind == AUTOENCODER:
            return load_autoencoder(self.name, device=self.device, dtype=dtype)
        if self.kind == ENGLISH_CORRECTOR:
            return load_corrector(device=self.device, dtype=dtype)
        import transformers

        return load(
            getattr(transformers, self.kind),
            self._place(),
            device=self.device,
            dtype=dtype,
            trust_remote_code=self.trust_remote_code,
        )

    def _fresh_tokenizer(self) -> Any:
        place = loading.beneath(self._place())
        here = {"local_files_only": not Path(place).is_dir() and not reachable()}
        with silenced():
            tokenizer = loading.load_tokenizer(place, self.trust_remote_code, **here)
        _note(tokenizer, replace(self, mark=""))
        return tokenizer

    def _check(self, folder: Path | None) -> None:
        found = "no files" if folder is None else _mark(folder)
        if found != self.mark:
            raise ValueError(
                f"the model {self.name or 'that is the default'!r} is not what it was when it was loaded: its files "
                f"have sha256 {found[:16]}, not {self.mark[:16]}; put the same files on every machine, or load it anew"
            )


@final
@dataclass(frozen=True)
class _Origin:
    """Where a model or a tokenizer came from, and what it and its files were then."""

    recipe: Recipe
    stamp: Stamp
    state: str


_ORIGINS: WeakKeyDictionary[Any, _Origin] = WeakKeyDictionary()
_MARKS: dict[Stamp, str] = {}
_MODELS: WeakValueDictionary[Recipe, Any] = WeakValueDictionary()
_TOKENIZERS: WeakValueDictionary[Recipe, Any] = WeakValueDictionary()
_NAMES: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_NAMED: WeakValueDictionary[str, Any] = WeakValueDictionary()


def load(
    auto_class: Any,
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str | None,
    dtype: torch.dtype,
    trust_remote_code: bool,
) -> tuple[Any, Any]:
    """As `textsearch.models.checkpoints.loading.load`; how it was done is noted."""
    model, tokenizer = loading.load(
        auto_class, name_or_path, device=device, dtype=dtype, trust_remote_code=trust_remote_code
    )
    kind, name = auto_class.__name__, str(name_or_path)
    folder = Path(name)
    own = str(folder.absolute()) if folder.is_dir() else name
    recipe = Recipe(kind, None if folder == _default(kind) else own, _plain(device), _plain(dtype), trust_remote_code)
    _note(model, recipe)
    _note(tokenizer, recipe)
    return model, tokenizer


def load_corrector(*, device: torch.device | str | None, dtype: torch.dtype) -> tuple[Any, Any]:
    """The default causal model with the corrector's adapter added, and its tokenizer."""
    from transformers import AutoModelForCausalLM

    model, tokenizer = loading.load(
        AutoModelForCausalLM, CORRECTOR, device=device, dtype=dtype, trust_remote_code=False
    )
    recipe = Recipe(ENGLISH_CORRECTOR, None, _plain(device), _plain(dtype), False)
    _note(model, recipe)
    _note(tokenizer, recipe)
    return model, tokenizer


def load_default_masked(*, device: torch.device | str | None, dtype: torch.dtype) -> tuple[Any, Any]:
    """The masked model that comes with this package, and its tokenizer."""
    model, tokenizer = load_packed(MASKED_LM, dtype)
    model = model.to(loading.pick_device(device))
    recipe = Recipe(PACKED, None, _plain(device), _plain(dtype), False)
    _note(model, recipe)
    _note(tokenizer, recipe)
    return model, tokenizer


def load_ngrams(folder: Path) -> tuple[Any, Any]:
    """The n-grams of a folder, mapped into memory, and its tokenizer."""
    from textsearch.models.ngram.tables import NgramTables

    tables = NgramTables.load(folder)
    with silenced():
        tokenizer = loading.load_tokenizer(str(folder), False)
    recipe = Recipe(NGRAM, str(folder.absolute()), None, "float32", False)
    _note(tables, recipe)
    _note(tokenizer, recipe)
    return tables, tokenizer


def load_autoencoder(name: str | None, *, device: torch.device | str | None, dtype: torch.dtype) -> tuple[Any, Any]:
    """The text autoencoder of a folder, by default the one that comes with the package, and its tokenizer."""
    from textsearch.models.autoencoder.network import AutoencoderNetwork

    folder = TEXT_AUTOENCODER if name is None else Path(name)
    network = AutoencoderNetwork.load(folder, dtype).to(loading.pick_device(device))
    with silenced():
        tokenizer = loading.load_tokenizer(str(folder), False)
    if len(tokenizer) > network.config.vocab_size:
        raise ValueError(
            f"the tokenizer of {str(folder)!r} has {len(tokenizer)} tokens and its model {network.config.vocab_size}: "
            "they do not belong together"
        )
    own = None if name is None else str(folder.absolute())
    recipe = Recipe(AUTOENCODER, own, _plain(device), _plain(dtype), False)
    _note(network, recipe)
    _note(tokenizer, recipe)
    return network, tokenizer


def _plain(value: object) -> Any:
    """A device or a type of numbers by its name."""
    return None if value is None else str(value).removeprefix("torch.")


def _note(value: Any, recipe: Recipe) -> None:
    """How a model or a tokenizer was just loaded."""
    folder = _folder(recipe.kind, recipe.name)
    if folder is not None:
        with _TURN:
            _ORIGINS[value] = _Origin(recipe, _stamp(folder), _state(value))


def reduced(adapter: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """`__reduce__` of an adapter: its arguments, its model as a recipe; what it remembers and counted stays behind."""
    values: dict[str, Any] = {}
    for field in fields(adapter):
        if field.init and not field.name.startswith("_") and field.name != "usage":
            value = getattr(adapter, field.name)
            values[field.name] = Travelling(value) if field.name in ("model", "tokenizer") else value
    return _revived, (type(adapter), values)


def reduced_as_one(vocabulary: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The same of what is told apart by which object it is: pickled twice, it is one object where it is unpickled."""
    revive, (kind, values) = reduced(vocabulary)
    del revive
    with _TURN:
        name = _NAMES.setdefault(vocabulary, uuid4().hex)
        _NAMED[name] = vocabulary
    return _revived_as_one, (_Name(name), kind, values)


@final
class Travelling:
    """A model or a tokenizer: pickled as a recipe where there is one, copied as it is."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        recipe = recipe_of(self.value)
        if recipe is None:
            return Travelling, (self.value,)
        return _fetched, (recipe, _is_model(self.value))

    def __deepcopy__(self, memo: dict[int, Any]) -> Travelling:
        return Travelling(copy.deepcopy(self.value, memo))


def recipe_of(value: Any) -> Recipe | None:
    """How a model or a tokenizer can be loaded again; None if that would give another one."""
    with _TURN:
        origin = _ORIGINS.get(value)
        if origin is None:
            return None
        folder = _folder(origin.recipe.kind, origin.recipe.name)
        if _state(value) != origin.state or folder is None or _stamp(folder) != origin.stamp:
            return None
        recipe = replace(origin.recipe, mark=_mark(folder))
        (_MODELS if _is_model(value) else _TOKENIZERS).setdefault(recipe, value)
        return recipe


def is_default(model: Any) -> bool:
    """Whether a model was loaded as the default of its kind, and not by a name."""
    with _TURN:
        origin = _ORIGINS.get(model)
    return origin is not None and origin.recipe.name is None


@final
class _Name:
    """The name of an object; a copy is another object."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __deepcopy__(self, memo: dict[int, Any]) -> _Name:
        return _Name(uuid4().hex)


def _fetched(recipe: Recipe, is_model: bool) -> Travelling:
    return Travelling(recipe.model() if is_model else recipe.tokenizer())


def _revived(kind: type[T], values: dict[str, Any]) -> T:
    return kind(**{name: value.value if isinstance(value, Travelling) else value for name, value in values.items()})


def _revived_as_one(name: _Name, kind: type[T], values: dict[str, Any]) -> T:
    with _TURN:
        known: T | None = _NAMED.get(name.name)
        if known is None:
            known = _revived(kind, values)
            _NAMED[name.name] = known
            _NAMES[known] = name.name
        return known


def _default(kind: str) -> Path | None:
    """The folder of the default model of a kind, whether it is there or not."""
    if kind in _PACKAGED:
        return _PACKAGED[kind]
    name = {"AutoModelForCausalLM": SMOLLM2_FOLDER, "AutoModel": MINILM_FOLDER}.get(kind)
    return None if name is None else cache_folder() / name


def _folder(kind: str, name: str | None) -> Path | None:
    """Where the files of a model are, if they are there."""
    folder = _default(kind) if name is None else Path(name)
    if folder is None or folder.is_dir() or name is None:
        there = folder is not None and folder.is_dir()
        lacks = there and folder is not None and low_rank.is_adapter(folder) and _beneath(folder) is None
        return folder if there and not lacks else None
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    return Path(config).parent if isinstance(config, str) else None


def _beneath(folder: Path) -> Path | None:
    """Where the files of the model beneath an adapter are, if it is one and they are there."""
    if not low_rank.is_adapter(folder):
        return None
    name = low_rank.settings(folder)["base_model_name_or_path"]
    return _folder("AutoModelForCausalLM", None) if name == SMOLLM2_HUB_ID else _folder("", name)


def _files(folder: Path) -> list[tuple[str, Path]]:
    """The files of a checkpoint by the names that they have there, and those of the model beneath an adapter."""
    own = sorted(file for file in folder.rglob("*") if file.suffix in _READ and file.is_file())
    found = [(file.relative_to(folder).as_posix(), file) for file in own]
    beneath = _beneath(folder)
    return found if beneath is None else [*found, *((f"beneath/{name}", file) for name, file in _files(beneath))]


def _stamp(folder: Path) -> Stamp:
    found = ((file, file.stat()) for _, file in _files(folder))
    return tuple((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in found)


def _mark(folder: Path) -> str:
    """sha256 of the files of a checkpoint; of the same files it is worked out once."""
    stamp = _stamp(folder)
    if stamp not in _MARKS:
        digest = hashlib.sha256()
        for name, file in _files(folder):
            with file.open("rb") as opened:
                own = hashlib.file_digest(opened, "sha256").hexdigest()
            digest.update(f"{name} {own}\n".encode())
        _MARKS[stamp] = digest.hexdigest()
    return _MARKS[stamp]


def _is_model(value: Any) -> bool:
    return not hasattr(value, "batch_decode")


def _state(value: Any) -> str:
    """Changes with the weights of a model (which tensors, how often written to, some of their numbers), or a tokenizer.

    To look at all numbers takes longer than to load them.
    """
    if hasattr(value, "fingerprint"):
        return str(value.fingerprint())
    if not _is_model(value):
        template = getattr(value, "chat_template", None)
        return repr((len(value), value.special_tokens_map, template, value.padding_side))
    digest = hashlib.sha256()
    for name, tensor in [*value.named_parameters(), *value.named_buffers()]:
        flat = tensor.detach().reshape(-1)
        some = flat[:: max(1, len(flat) // _SAMPLED)].to("cpu", torch.float64).tolist()
        version = None if tensor.is_inference() else tensor._version
        digest.update(repr((name, tensor.dtype, tensor.device, tensor.shape, version, some)).encode())
    return digest.hexdigest()
