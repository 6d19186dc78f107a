"""The one loop: every sampler, every objective, every number of inputs and chains."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.objective import Evaluation, Objective, term_names
from textsearch.result import Acceptance, Generations
from textsearch.rng import Rng
from textsearch.sampler import Info, Sampler, State


@final
@dataclass(frozen=True, eq=False)
class Progress:
    """What a callback sees after each step.

    Attributes:
        step: steps taken so far.
        steps: steps asked for.
        energies: (B,) float64 of the current texts.
        best_energies: (B,) float64 of the best texts so far.
        accepted: (B,) bool, whether the step's proposal was taken.
        acceptance: share of all proposals taken so far.
        seconds: since the first step began.
        batch: the current texts.
        best: the best texts so far.
    """

    step: int
    steps: int
    energies: Tensor
    best_energies: Tensor
    accepted: Tensor
    acceptance: float
    seconds: float
    batch: Batch
    best: Batch

    @property
    def best_energy(self) -> float:
        """The lowest energy met by any chain."""
        return float(self.best_energies.min())

    @property
    def best_text(self) -> str:
        """The text that had it."""
        return self.best.rows(self.best_energies.argmin()[None]).texts()[0]


@final
@dataclass(frozen=True, eq=False)
class Done:
    """What is kept of the steps taken so far."""

    steps: int
    state: State
    best: Batch
    best_evaluation: Evaluation
    proposed: Tensor
    accepted: Tensor

    def then(self, state: State, info: Info) -> Done:
        """One step more."""
        better = state.evaluation.energy < self.best_evaluation.energy
        kinds = len(self.proposed)
        return Done(
            self.steps + 1,
            state,
            self.best.where(better, state.batch),
            self.best_evaluation.where(better, state.evaluation),
            self.proposed + torch.bincount(info.kind, minlength=kinds),
            self.accepted + torch.bincount(info.kind[info.accepted], minlength=kinds),
        )


Callback = Callable[[Progress], bool | None]


def starting_batch(sampler: Sampler[Any], inputs: Batch | Sequence[str]) -> Batch:
    """The inputs as a batch in the sampler's vocabulary, checked."""
    if isinstance(inputs, Batch):
        batch = inputs
    elif isinstance(inputs, str):
        raise TypeError(f"inputs={inputs!r} is one string; pass a list of texts, [{inputs!r}]")
    else:
        texts = list(inputs)
        if strange := [text for text in texts if not isinstance(text, str)]:
            raise TypeError(f"inputs holds {strange[0]!r}, which is no text")
        batch = sampler.vocabulary.encode(texts)
    if len(batch) == 0:
        raise ValueError("inputs is empty: pass at least one text to start from")
    if batch.vocabulary is not sampler.vocabulary:
        raise ValueError(
            "the batch was encoded with another tokenizer than the sampler's: use sampler.vocabulary.encode(texts)"
        )
    return batch


def check_start(objective: Objective, batch: Batch, evaluation: Evaluation) -> None:
    """Refuse a start that has probability zero, naming the text and the term that forbids it."""
    forbidden = evaluation.energy == math.inf
    if not bool(forbidden.any()):
        return
    row = int(forbidden.nonzero()[0])
    names = term_names(objective)
    guilty = [name for name, value in zip(names, evaluation.terms[row].tolist(), strict=True) if value == math.inf]
    raise ValueError(
        f"{int(forbidden.sum())} of {len(batch)} starting texts are forbidden, the first by {' and '.join(guilty)}: "
        f"{batch.rows([row]).texts()[0]!r}. A chain must start from a text of finite energy; "
        "change the text, or loosen that term"
    )


def run(
    objective: Objective,
    sampler: Sampler[Any],
    inputs: Batch | Sequence[str],
    *,
    steps: int,
    seed: int,
    chains: int,
    temperature: float,
    keep_every: int | None,
    callbacks: Sequence[Callback],
) -> Generations:
    """See `textsearch.generate`, which checks the arguments."""
    if not isinstance(objective, Objective):
        raise TypeError(f"objective={objective!r} is no Objective; wrap a function of texts in FunctionObjective")
    batch = starting_batch(sampler, inputs)
    objective.check(batch)
    texts, numbers = batch.texts(), batch.inputs.tolist()
    sources = [texts[numbers.index(number)] if number in numbers else "" for number in range(max(numbers) + 1)]
    batch = objective.freeze(batch.repeat(chains))
    rng = Rng.start(seed, len(batch), batch.device)
    with torch.inference_mode():
        state = sampler.init(objective, batch)
        check_start(objective, state.batch, state.evaluation)
        best, best_evaluation = state.batch, state.evaluation
        kinds = sampler.kinds
        nothing = torch.zeros(len(kinds), dtype=torch.int64, device=batch.device)
        # what is kept of the steps so far changes in one assignment: an interrupt finds whole steps only
        done = Done(0, state, best, best_evaluation, nothing, nothing)
        trace: list[Tensor] = []
        samples: list[list[str]] = []
        sample_steps: list[int] = []
        interrupted = False
        began = time.perf_counter()
        try:
            for step in range(steps):
                after, info = sampler.step(objective, done.state, rng.at(step), temperature)
                trace.append(after.evaluation.energy)
                if keep_every is not None and (step + 1) % keep_every == 0:
                    samples.append(after.batch.texts())
                    sample_steps.append(step + 1)
                done = done.then(after, info)
                if callbacks:
                    progress = Progress(
                        step=done.steps,
                        steps=steps,
                        energies=done.state.evaluation.energy,
                        best_energies=done.best_evaluation.energy,
                        accepted=info.accepted,
                        acceptance=float(done.accepted.sum() / done.proposed.sum()),
                        seconds=time.perf_counter() - began,
                        batch=done.state.batch,
                        best=done.best,
                    )
                    answers = [callback(progress) for callback in callbacks]
                    if any(answers):
                        interrupted = step + 1 < steps
                        break
        except KeyboardInterrupt:
            interrupted = True
        seconds = time.perf_counter() - began
        state, best, best_evaluation = done.state, done.best, done.best_evaluation
        proposed, accepted = done.proposed, done.accepted
        trace = trace[: done.steps]
        sample_steps = [step for step in sample_steps if step <= done.steps]
        samples = samples[: len(sample_steps)]
        names = term_names(objective)
        return Generations(
            texts=state.batch.texts(),
            energies=state.evaluation.energy.cpu().numpy(),
            best_texts=best.texts(),
            best_energies=best_evaluation.energy.cpu().numpy(),
            terms=_columns(names, state.evaluation),
            best_terms=_columns(names, best_evaluation),
            inputs=batch.inputs.cpu().numpy(),
            sources=sources,
            acceptance=_acceptance(kinds, proposed.tolist(), accepted.tolist()),
            trace=torch.stack(trace).cpu().numpy() if trace else np.zeros((0, len(batch))),
            samples=samples,
            sample_steps=sample_steps,
            batch=state.batch,
            guarantee=sampler.guarantee,
            seconds=seconds,
            interrupted=interrupted,
        )


def _columns(names: Sequence[str], evaluation: Evaluation) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    return dict(zip(names, evaluation.terms.cpu().numpy().T, strict=True))


def _acceptance(kinds: Sequence[str], proposed: Sequence[int], accepted: Sequence[int]) -> dict[str, Acceptance]:
    """Counts by kind; kinds of one name, from two parts of a mixture, are counted together."""
    counts = dict.fromkeys(kinds, Acceptance(0, 0))
    for kind, tried, taken in zip(kinds, proposed, accepted, strict=True):
        counts[kind] = Acceptance(counts[kind].proposed + tried, counts[kind].accepted + taken)
    return counts
