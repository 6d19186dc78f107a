"""What speed is measured with: a stopwatch, memory, the best rate of a matrix product, the arithmetic of models."""

from __future__ import annotations

import ctypes
import functools
import gc
import platform
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident
from typing import Any, Protocol

import torch

from textsearch.models.reading import hidden_cache as contexts
from textsearch.models.reading import prefix_tree, threads
from textsearch.models.usage import Usage


@dataclass
class Stopwatch:
    """Where the time of a thread goes: seconds by section, each without those of the sections within it."""

    seconds: dict[str, float] = field(default_factory=dict)
    device: str = "cpu"
    thread: int = field(default_factory=get_ident)
    _open: list[str] = field(default_factory=list)
    _since: float = 0.0

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Time spent in the block goes to `name`."""
        self._book()
        self._open.append(name)
        try:
            yield
        finally:
            self._book()
            self._open.pop()

    @contextmanager
    def on(self, owner: Any, method: str, name: str, but: str = "") -> Iterator[None]:
        """While the block runs, calls of a method of an object or a class are a section, but for those within `but`."""
        original, own = getattr(owner, method), method in vars(owner)

        @functools.wraps(original)
        def timed(*args: Any, **options: Any) -> Any:
            if get_ident() != self.thread or (self._open and self._open[-1] in (name, but)):
                return original(*args, **options)
            with self.section(name):
                return original(*args, **options)

        setattr(owner, method, timed)
        try:
            yield
        finally:
            if own:
                setattr(owner, method, original)
            else:
                delattr(owner, method)

    @contextmanager
    def forwards(self, models: Sequence[Any], name: str = "forward", projection: str = "forward") -> Iterator[None]:
        """Whatever part of the models is called, the outermost call is a section, the vocabulary's matrix another.

        Of the latter textsearch multiplies some columns at a time. To wait for the threads
        that share out a pass is to be in the model.
        """
        with ExitStack() as stack:
            stack.enter_context(self.on(threads, "join", name, but=projection))
            for reader in (contexts, prefix_tree):
                stack.enter_context(self.on(reader, "log_sums", projection))
            for reader, method in ((contexts, "log_probs_of"), (prefix_tree, "logits_of")):
                stack.enter_context(self.on(reader, method, projection))
            for model in models:
                last = model.get_output_embeddings()
                for module in model.modules():
                    stack.enter_context(self.on(module, "forward", projection if module is last else name))
            yield

    def so_far(self) -> dict[str, float]:
        """Seconds by section, those of the open ones up to now."""
        self._book()
        return dict(self.seconds)

    def _book(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


class Model(Protocol):
    """An adapter, as far as it is needed here."""

    @property
    def model(self) -> Any:
        """A transformers model."""

    @property
    def usage(self) -> Usage:
        """What has been asked of it."""


def flops(lm: Model, spent: Usage, *, causal: bool) -> float:
    """Floating-point operations of what was read but padding; one place a row, or a token if causal, is projected."""
    config, embeddings = lm.model.config, {id(lm.model.get_output_embeddings().weight)}
    # counted by the places that are asked for, or looked up
    embeddings |= {id(module.weight) for module in lm.model.modules() if isinstance(module, torch.nn.Embedding)}
    matrices = sum(int(own.numel()) for own in lm.model.parameters() if own.ndim == 2 and id(own) not in embeddings)
    read = spent.tokens - spent.padding
    seen = (spent.reused + read) / max(spent.rows, 1)
    body = 2.0 * matrices + 4.0 * config.hidden_size * config.num_hidden_layers * seen
    projection = 2.0 * config.hidden_size * config.vocab_size
    return float(read * body + projection * (read if causal else spent.rows))


def product_rate(device: str, seconds: float = 0.3) -> float:
    """Operations a second of the best float32 matrix product."""
    best = 0.0
    for size in (512, 1024, 2048) if device == "cpu" else (2048, 4096, 8192):
        one, other = torch.randn(2, size, size, device=device).unbind(0)
        torch.matmul(one, other)
        began, now, count = time.perf_counter(), 0.0, 0
        while now - began < seconds:
            # the rate of the fastest of a few, so that a busy moment does not count
            since = time.perf_counter()
            torch.matmul(one, other)
            if device == "cuda":
                torch.cuda.synchronize()
            now = time.perf_counter()
            best = max(best, 2.0 * size**3 / (now - since))
            count += 1
    return best


@dataclass
class Memory:
    """Bytes in use at most since `start`, above what was in use then."""

    device: str
    before: int = 0

    def start(self) -> Memory:
        """From now on."""
        gc.collect()
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
        elif sys.platform == "linux":
            # what was freed goes back to the system, and the peak is forgotten
            if platform.libc_ver()[0] == "glibc":
                ctypes.CDLL("libc.so.6").malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            self.before = _resident("VmRSS")
        else:
            self.before = self._peak()
        return self

    def most(self) -> int:
        """So far."""
        return max(self._peak() - self.before, 0)

    def _peak(self) -> int:
        if self.device == "cuda":
            return torch.cuda.max_memory_allocated()
        if sys.platform == "linux":
            return _resident("VmHWM")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="ignore").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name + ":"))
