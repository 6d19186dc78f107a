"""How fast textsearch is: against a textbook loop, and against what the arithmetic of its models allows on the machine.

    python -m benchmarks.speed --size quick --out results

One run, two settings, all figures ratios of what was measured in it:

- `masked`: masked-LM Metropolis-Hastings on the pseudo-likelihood, texts of 12, 32 and 64 free tokens.
- `keywords`: one word replaced, inserted or deleted, or two exchanged, under a causal model that has read a request;
  no keyword may be lost.

The textbook loop (`benchmarks/textbook.py`) and textsearch take turns, from the same texts with the same random
numbers; the run fails if they visit different texts for any reason but a number too close to call. The loop makes few
steps, on the first chains if all would take longer than a turn; textsearch takes its turn, goes on from where it was,
and remembers what it likes. Chains have been warmed up, and the first step of a turn is not counted. What is told is
the median over the turns, with the lowest and the highest. As the chain is one and the same, so are its effective
draws a step: they are told of textsearch, from 100 steps on.

The arithmetic limit is the time that the floating-point operations of what was read take at the highest rate of a
float32 matrix product in this run, on as many threads. A token that is no padding costs

    2 x parameters in matrices but embeddings + 4 x hidden size x layers x tokens that it may see (prompt included),

and a place whose word is asked for 2 x hidden size x vocabulary more: one a row that a masked model reads, one a token
that a causal one reads. Padding, and all that is no matrix product, are allowed nothing.

`--threads 1 2` is textsearch alone on one thread and on two, which take turns at the same steps of the same chains; the
run fails if a bit of an energy differs. `--part scaling` is textsearch alone with more and more chains, `--part
profile` where the time of its steps goes. `quick` is 32 chains, the shortest texts and three turns after 20 steps:
keyword chains still resemble their start, and share more of what is remembered than later. `full` is five turns
after 200 steps, or ten times a turn, with 1 to 512 chains of the shortest texts and up to 32 of the others. More than
32 chains start from copies of 32 that are warm.
Memory is resident memory, at most, above that before the warm-up, or that of the accelerator, which is waited for
wherever the clock is read.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from rich.console import Console

from benchmarks import textbook
from benchmarks.measuring import Memory, Model, Stopwatch, flops, product_rate
from benchmarks.speed_tables import profile_table, tables, threads_table
from objectives import Fluency, Keywords, PseudoLikelihood
from samplers import MetropolisHastings
from samplers.proposals import InsertDelete, Mixture, Replace, Swap
from textsearch import Batch, generate
from textsearch.models import causal_lm, masked_lm
from textsearch.models.usage import Usage
from textsearch.objective import Objective
from textsearch.proposal import Proposal
from textsearch.result.diagnostics import statistics
from textsearch.run.loop import Progress
from textsearch.tasks.keyword_sentences import request

ONE_PIECE = (1.0,)
"""Words of one piece, which the textbook's loop knows."""

PASSAGE = (
    "The old man walked to the river with a small dog. He sat on a wooden bench by the water and watched the boats go "
    "by for nearly an hour. When the sun came up over the hills, he took out a book and read it aloud until the town "
    "began to wake and the first people came to work."
)
"""Of 12, 20 and 32 tokens, each a whole word."""

KEYWORDS = ("dog", "park", "ball")
SENTENCE = "The children and their dog ran across the park to catch a red ball before it fell into the water."

ENOUGH = 100
"""Steps from which an effective sample size is told."""

FEW = 8
"""Chains that the textbook loop runs, however long they take."""

MAX_WARM, APART = 32, 4
"""Chains that are warmed up, and steps that part the copies of one where there are more."""


@final
@dataclass(frozen=True)
class Setting:
    """What is sampled, by both.

    Attributes:
        name: for the tables.
        models: with whether each is causal.
        objective: the energy.
        proposal: the moves.
        start: one text.
        propose: the same moves for the textbook loop.
        energy: the same energy for it.
    """

    name: str
    models: Sequence[tuple[Model, bool]]
    objective: Objective
    proposal: Proposal
    start: Batch
    propose: textbook.Propose
    energy: textbook.Energy

    @property
    def modules(self) -> list[Any]:
        """The transformers models."""
        return [lm.model for lm, _ in self.models]

    def spent(self) -> list[Usage]:
        """What has been asked of each model so far."""
        return [replace(lm.usage) for lm, _ in self.models]

    def flops(self, spent: Sequence[Usage]) -> float:
        """What these cost."""
        pairs = zip(self.models, spent, strict=True)
        return sum(flops(lm, one, causal=causal) for (lm, causal), one in pairs)


def masked_setting(length: int, device: str) -> Setting:
    """The first `length` tokens of the passage."""
    lm = masked_lm(device=device)
    tokens = lm.vocabulary.encode([PASSAGE]).token_lists()[0]
    if not 0 < length <= len(tokens):
        raise ValueError(f"length={length} must be at most the {len(tokens)} tokens of the passage")
    return Setting(
        f"masked, {length} tokens",
        [(lm, False)],
        PseudoLikelihood(lm),
        Replace(lm, pieces=ONE_PIECE, max_length=64),
        Batch.of([tokens[:length]], lm.vocabulary),
        textbook.one_word(lm),
        textbook.pseudo_energy(lm),
    )


def keyword_setting(device: str) -> Setting:
    """A sentence with keywords, after a request for one."""
    lm, causal = masked_lm(device=device), causal_lm(device=device)
    prompt = request(causal, KEYWORDS)
    replacing, inserting, swapping = textbook.EDITS
    start = lm.vocabulary.encode([SENTENCE])
    return Setting(
        f"keywords, from {int(start.lengths[0])} tokens",
        [(lm, False), (causal, True)],
        Keywords(KEYWORDS) + Fluency(causal, prompt),
        Mixture(
            {
                Replace(lm, pieces=ONE_PIECE): replacing,
                InsertDelete(lm, pieces=ONE_PIECE): inserting,
                Swap(lm.vocabulary): swapping,
            }
        ),
        start,
        textbook.word_edits(lm),
        textbook.keyword_energy(causal, lm, KEYWORDS, prompt),
    )


@final
@dataclass(frozen=True)
class Ours:
    """What textsearch did in a turn, its first step left out, and the texts after every step.

    Attributes:
        steps: of every chain.
        seconds: of them.
        forward: seconds of these in models.
        accepted: proposals taken.
        spent: what each model was asked.
        energies: (T, B) nats.
        visited: texts after each step, the first one's too.
    """

    steps: int
    seconds: float
    forward: float
    accepted: int
    spent: list[Usage]
    energies: Any
    visited: list[Batch]


def ours(setting: Setting, batch: Batch, seed: int, *, least: int, seconds: float, device: str) -> Ours:
    """At least `least` steps from the texts, and `seconds`."""
    watch, visited = Stopwatch(device=device), []
    first: list[tuple[float, float, list[Usage]]] = []

    def enough(progress: Progress) -> bool:
        visited.append(progress.batch)
        if not first:
            first.append((progress.seconds, watch.so_far().get("forward", 0.0), setting.spent()))
        return progress.step > least and progress.seconds - first[0][0] >= seconds

    with watch.forwards(setting.modules):
        result = generate(
            setting.objective, MetropolisHastings(setting.proposal), batch, steps=100_000, seed=seed, until=enough
        )
    began, forward, before = first[0]
    return Ours(
        result.steps - 1,
        result.seconds - began,
        watch.seconds["forward"] - forward,
        int(result.recorded["accepted"][1:].sum()),
        [_less(after, own) for after, own in zip(setting.spent(), before, strict=True)],
        result.trace[1:],
        visited,
    )


def _less(after: Usage, before: Usage) -> Usage:
    return Usage(**{name: value - getattr(before, name) for name, value in vars(after).items()})


def differences(visited: Sequence[Batch], run: textbook.Run) -> tuple[int, int]:
    """Chains that part at a step too close to call, and chains that part at any other."""
    together = set(range(len(run.visited[0])))
    excused, wrong = 0, 0
    for batch, texts, close in zip(visited, run.visited, run.close.tolist(), strict=False):
        rows = batch.token_lists()
        for chain in [chain for chain in together if rows[chain] != texts[chain]]:
            together.remove(chain)
            excused, wrong = excused + close[chain], wrong + (not close[chain])
    return excused, wrong


def warm(setting: Setting, chains: int, *, steps: int, seconds: float, seed: int) -> Batch:
    """Texts of chains that have made so many steps, or steps for so long."""
    sampler = MetropolisHastings(setting.proposal)
    start = setting.start.repeat(min(chains, MAX_WARM))
    batch = generate(
        setting.objective, sampler, start, steps=steps, seed=seed, until=lambda progress: progress.seconds > seconds
    ).batch
    if chains <= MAX_WARM:
        return batch
    copies = batch.rows(torch.arange(chains) % MAX_WARM)
    return generate(setting.objective, sampler, copies, steps=APART, seed=seed + 1).batch


def cell(
    setting: Setting, chains: int, *, turns: int, seconds: float, warm_up: int, seed: int, compare: bool, device: str
) -> dict[str, Any]:
    """All figures of one setting and number of chains, turn by turn.

    Raises:
        RuntimeError: the textbook loop visited other texts.
    """
    memory = Memory(device).start()
    batch = warm(setting, chains, steps=warm_up, seconds=10 * seconds, seed=seed)
    found: dict[str, Any] = {"setting": setting.name, "chains": chains, "turns": [], "memory": memory.most()}
    energies = []
    few, steps = 0, 0
    if compare:
        one = textbook.metropolis_hastings(setting.propose, setting.energy, batch.rows([0]), steps=1, seed=seed)
        few = min(chains, max(FEW, int(seconds / one.seconds)))
        steps = max(1, int(seconds / (one.seconds * few)))
    for number in range(2, turns + 2):
        turn: dict[str, Any] = {"product_rate": product_rate(device)}
        if compare:
            texts, memory = batch.rows(range(few)), Memory(device)
            memory = memory.start() if number == 2 else memory
            run = textbook.metropolis_hastings(setting.propose, setting.energy, texts, steps=steps, seed=seed + number)
            if number == 2:
                found["textbook_memory"] = memory.most()
            turn["textbook"] = {
                "proposals": steps * few,
                "seconds": run.seconds,
                "seconds_again": run.seconds_again,
                "accepted": run.accepted,
            }
        own = ours(setting, batch, seed + number, least=max(steps, 2), seconds=seconds, device=device)
        if compare:
            excused, wrong = differences(own.visited, run)
            if wrong:
                raise RuntimeError(f"{setting.name}: {wrong} of {few} chains of the textbook loop are others than ours")
            turn["textbook"]["too_close_to_call"] = excused
        batch = own.visited[-1]
        energies.append(own.energies)
        turn |= {
            "proposals": own.steps * chains,
            "seconds": own.seconds,
            "forward": own.forward,
            "accepted": own.accepted,
            "flops": setting.flops(own.spent),
            "usage": [vars(spent) for spent in own.spent],
            "tokens": float(batch.lengths.double().mean()),
        }
        found["turns"].append(turn)
    draws = np.concatenate(energies)
    found["energy"] = [float(draws[: len(draws) // 2].mean()), float(draws[len(draws) // 2 :].mean())]
    if chains > 1 and len(draws) >= ENOUGH:
        found["ess"] = statistics(draws.T).ess_bulk
    return found


def on_threads(
    load: Callable[[], Setting],
    chains: int,
    counts: Sequence[int],
    *,
    turns: int,
    seconds: float,
    warm_up: int,
    seed: int,
) -> dict[str, Any]:
    """Proposals a second on each number of threads, turn by turn: all make the same steps, with a memory of their own.

    Raises:
        RuntimeError: the chains differ.
    """
    settings, batches = {count: load() for count in counts}, []
    for count, setting in settings.items():
        torch.set_num_threads(count)
        batches.append(warm(setting, chains, steps=warm_up, seconds=20 * seconds, seed=seed))
    batch = batches[0]
    found: dict[str, Any] = {"setting": settings[counts[0]].name, "chains": chains, "turns": []}
    for number in range(2, turns + 2):
        turn: dict[str, Any] = {}
        first: Ours | None = None
        for count, setting in settings.items():
            torch.set_num_threads(count)
            rate = product_rate("cpu")
            least, most = (2, seconds) if first is None else (first.steps, 0.0)
            # each model has a tokenizer of its own, with the same tokens
            own_batch = replace(batch, vocabulary=setting.start.vocabulary)
            own = ours(setting, own_batch, seed + number, least=least, seconds=most, device="cpu")
            first = first or own
            if own.steps != first.steps or (own.energies != first.energies).any():
                raise RuntimeError(f"{setting.name}: on {count} threads the chains are others than on {counts[0]}")
            turn[str(count)] = {
                "proposals/s": own.steps * chains / own.seconds,
                "seconds a step": own.seconds / own.steps,
                "in models": own.forward / own.steps,
                "product_rate": rate,
            }
        assert first is not None
        batch = first.visited[-1]
        found["turns"].append(turn)
    return found


def profile(setting: Setting, chains: int, *, warm_up: int, steps: int, seed: int, device: str) -> dict[str, float]:
    """Part of a step -> its share of the time."""
    watch, sampler = Stopwatch(device=device), MetropolisHastings(setting.proposal)
    batch = warm(setting, chains, steps=warm_up, seconds=60, seed=seed)
    first: dict[str, float] = {}

    def begin(progress: Progress) -> None:
        if progress.step == 1:
            first.update(watch.so_far())

    with ExitStack() as stack:
        stack.enter_context(watch.forwards(setting.modules, "model layers", "projection"))
        stack.enter_context(watch.on(type(setting.proposal), "propose", "proposal: draws, lookups, Python"))
        for term in {type(term) for _, term in setting.objective.parts}:
            for method in ("energy", "energy_within"):
                stack.enter_context(watch.on(term, method, f"{term.__name__}: lookups, Python"))
        for owner in (torch.Tensor, torch):
            for method in ("log_softmax", "logsumexp"):
                stack.enter_context(watch.on(owner, method, "log-softmax"))
        stack.enter_context(watch.section("acceptance and the loop"))
        generate(setting.objective, sampler, batch, steps=1 + steps, seed=seed + 2, callbacks=[begin])
    parts = {name: value - first.get(name, 0.0) for name, value in watch.seconds.items()}
    return {name: value / sum(parts.values()) for name, value in parts.items()}


@dataclass(frozen=True)
class Size:
    """How much is run: chains, lengths, turns, seconds a turn of each, warm-up steps."""

    chains: tuple[int, ...]
    lengths: tuple[int, ...]
    turns: int
    seconds: float
    warm_up: int


SIZES = {"quick": Size((32,), (12,), 3, 6.0, 20), "full": Size((1, 8, 32, 128, 512), (12, 32, 64), 5, 30.0, 200)}
SCALING = (1, 8, 32, 128, 512)
PARTS = ("masked", "keywords", "scaling", "profile")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=["masked", "keywords"])
    parser.add_argument("--chains", nargs="+", type=int, help="by default the size's; of scaling all from 1 to 512")
    parser.add_argument("--lengths", nargs="+", type=int, help="tokens of the masked setting; by default the size's")
    parser.add_argument("--repeats", type=int, help="turns; by default the size's")
    parser.add_argument("--seconds", type=float, help="of a turn of each; by default the size's")
    parser.add_argument("--warm-up", type=int, help="steps; by default the size's")
    parser.add_argument("--threads", nargs="+", type=int, help="of several, how much faster each is than the first")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    several = args.threads if args.threads and len(args.threads) > 1 else []
    if several and (args.device != "cpu" or {"profile", "scaling"} & set(args.part)):
        parser.error("several numbers of threads are compared on the CPU, in the parts masked and keywords")
    if args.threads:
        torch.set_num_threads(args.threads[0])
    args.out.mkdir(parents=True, exist_ok=True)
    written = args.out / "speed.json"
    found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
    console, progress = Console(width=200), Console(stderr=True)
    size = SIZES[args.size]
    lengths, warm_up = args.lengths or size.lengths, args.warm_up or size.warm_up

    for part in args.part:
        counts = args.chains or (SCALING if part == "scaling" else size.chains)
        few = counts if args.chains else [count for count in counts if count <= MAX_WARM]
        # loaded anew for each cell: nothing is remembered from another
        work: list[tuple[Callable[[], Setting], int]] = []
        if part != "keywords":
            for length in lengths:
                texts = functools.partial(masked_setting, length, args.device)
                work += [(texts, count) for count in (counts if length == lengths[0] else few)]
        if part != "masked":
            work += [(functools.partial(keyword_setting, args.device), count) for count in counts]
        cells: list[dict[str, Any]] = []
        for load, count in work:
            began, turns, seconds = time.perf_counter(), args.repeats or size.turns, args.seconds or size.seconds
            if several:
                one = on_threads(load, count, several, turns=turns, seconds=seconds, warm_up=warm_up, seed=args.seed)
                cells.append(one)
                progress.print(f"{one['setting']}, {count} chains, {time.perf_counter() - began:.0f} s")
                continue
            setting = load()
            if part == "profile":
                shares = profile(setting, count, warm_up=warm_up, steps=10, seed=args.seed, device=args.device)
                cells.append({"setting": setting.name, "chains": count, "shares": shares})
            else:
                one = cell(
                    setting,
                    count,
                    turns=turns,
                    seconds=seconds,
                    warm_up=warm_up,
                    seed=args.seed,
                    compare=part != "scaling",
                    device=args.device,
                )
                cells.append(one)
            progress.print(f"{setting.name}, {count} chains, {time.perf_counter() - began:.0f} s")
        name = f"{part}, threads" if several else part
        found[name] = {
            "cells": cells,
            "threads": several or torch.get_num_threads(),
            "device": torch.cuda.get_device_name() if args.device == "cuda" else platform.machine(),
            "torch": torch.__version__,
            "size": args.size,
        }
        if several:
            shown = [threads_table(cells)]
        elif part == "profile":
            shown = [profile_table(one) for one in cells]
        else:
            rate = found[part]["product_rate"] = max(turn["product_rate"] for one in cells for turn in one["turns"])
            shown = list(tables(cells, rate))
        console.print(*shown)
        written.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
