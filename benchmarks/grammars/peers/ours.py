"""One job by our samplers, in a process of its own: python -m benchmarks.grammars.peers.ours job.json draws.jsonl.

Writes what `runner.py` writes of the peers. The model has read nothing when the draws begin.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.grammars import methods
from benchmarks.grammars.peers.jobs import AWRS, CHAINS, MASKED, REJECTION
from objectives import Pattern
from samplers import AdaptiveRejection, AdaptiveWeightedRejection
from samplers.weights import LOG_WEIGHTS
from textsearch.batch import Batch
from textsearch.models import causal_lm
from textsearch.rng import Rng
from textsearch.sampler import Sampler

Group = tuple[Batch, list[float], list[bool]]
"""Texts, their log weights, and which of them were drawn."""


def groups(job: dict[str, Any], setting: methods.Setting) -> Iterator[Group]:
    """Draws of a method without end, in groups of as many rows."""
    rows, seed = job["rows"], job["seed"]
    empty = Batch.of([[]] * rows, setting.lm.vocabulary)
    one_input = replace(empty, inputs=torch.zeros(rows, dtype=torch.int64))
    rng, step = Rng.start(seed, rows, purpose="grammars peers ours 15"), 0
    if job["method"] == MASKED:
        while True:
            batch, log_q = setting.masked().draw(empty, rng.at(step))
            yield batch, [0.0] * rows, (log_q < math.inf).tolist()
            step += 1
    sampler, start = _sampler(job["method"], setting), one_input
    if job["method"] == CHAINS:
        begun, _ = methods.starts(setting, rows, seed)
        start = begun.batch
    state = sampler.init(setting.objective, start)
    while True:
        state, info = sampler.step(setting.objective, state, rng.at(step))
        weights = info.recorded[LOG_WEIGHTS].tolist() if job["method"] == AWRS else [0.0] * rows
        # a chain that stays is at a draw, too
        drawn = info.accepted.tolist() if job["method"] == REJECTION else [True] * rows
        yield state.batch, weights, drawn
        step += 1


def _sampler(method: str, setting: methods.Setting) -> Sampler[Any]:
    if method == CHAINS:
        return setting.suffix("uniform")
    kind = AdaptiveRejection if method == REJECTION else AdaptiveWeightedRejection
    return kind(setting.lm, setting.prompt, max_length=setting.max_length)


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    lm = causal_lm(job["model"])
    began = time.process_time()
    constraint = Pattern(job["pattern"], full=True)
    setting = methods.Setting(lm, job["prompt"], constraint, job["max_tokens"])
    with Path(sys.argv[2]).open("w", encoding="utf-8") as out:

        def tell(line: dict[str, Any]) -> None:
            out.write(json.dumps(line) + "\n")
            out.flush()

        tell({"compiling": time.process_time() - began})
        began, drawn = time.process_time(), 0
        for number, (batch, weights, ended) in enumerate(groups(job, setting)):
            seconds = time.process_time() - began
            for tokens, log_weight, end in zip(batch.token_lists(), weights, ended, strict=True):
                weight = log_weight if log_weight > -math.inf else None
                tell({"tokens": tokens, "log_weight": weight, "group": number, "ended": end})
            drawn += len(ended)
            tell({"drawn": drawn, "seconds": seconds, "read": lm.usage.tokens})
            if drawn >= job["draws"] or seconds >= job["seconds"]:
                return


if __name__ == "__main__":
    main()
