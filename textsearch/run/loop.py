"""The one loop: every sampler, every objective, every number of inputs and chains."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textsearch.batch import Batch
from textsearch.checks import strings
from textsearch.marks import marked
from textsearch.models.reading.threads import sharing
from textsearch.models.usage import Usage, charged_to, ledger
from textsearch.objective import Objective, term_names, terms_of
from textsearch.result import Acceptance, Generations
from textsearch.rng import Rng, input_numbers
from textsearch.run.keeper import Keeper, Settings
from textsearch.run.partial import carry, gathered, said
from textsearch.run.recorder import Record, kept_after, recorded
from textsearch.run.state import RunState, step
from textsearch.sampler import Info, Sampler, State


@final
@dataclass(frozen=True, eq=False)
class Progress:
    """What a callback sees after each step.

    Attributes:
        step: steps taken so far.
        steps: steps asked for.
        warm_up: steps at the start that are not meant to count.
        state: the sampler's state, with the current texts and energies.
        info: what the step did.
        best: the best texts so far.
        best_energies: (B,) float64, theirs.
        best_steps: (B,) int64, the step after which each was met first, 0 for the start.
        trace: step times (B,) energies so far.
        acceptance: share of all proposals taken so far.
        usage: what models have been asked so far, by who asked.
        seconds: since the first step began.
    """

    step: int
    steps: int
    warm_up: int
    state: State
    info: Info
    best: Batch
    best_energies: Tensor
    best_steps: Tensor
    trace: Sequence[Tensor]
    acceptance: float
    usage: Mapping[str, Usage]
    seconds: float

    @property
    def batch(self) -> Batch:
        """The current texts."""
        return self.state.batch

    @property
    def energies(self) -> Tensor:
        """(B,) float64 of the current texts."""
        return self.state.evaluation.energy

    @property
    def accepted(self) -> Tensor:
        """(B,) bool, whether the step's proposal was taken."""
        return self.info.accepted

    @property
    def best_energy(self) -> float:
        """The lowest energy met by any chain."""
        return float(self.best_energies.min())

    @property
    def best_text(self) -> str:
        """The text that had it."""
        return self.best.rows(self.best_energies.argmin()[None]).texts()[0]


Callback = Callable[[Progress], bool | None]
"""Sees every step; the run counts as interrupted if it answers True."""

Rule = Callable[[Progress], bool]
"""Whether a run has reached its end before its last step."""


def starting_batch(sampler: Sampler[Any], inputs: Batch | Sequence[str]) -> Batch:
    """The inputs as a batch in the sampler's vocabulary, checked."""
    batch = inputs if isinstance(inputs, Batch) else sampler.vocabulary.encode(strings("inputs", inputs))
    if len(batch) == 0:
        raise ValueError("inputs is empty: pass at least one text to start from")
    if batch.vocabulary is not sampler.vocabulary:
        raise ValueError(
            "the batch was encoded with another tokenizer than the sampler's: use sampler.vocabulary.encode(texts)"
        )
    return batch


def streams(seed: int, batch: Batch, chains: int, numbers: Sequence[int] | None = None) -> Rng:
    """The random numbers of `chains` chains from each row, side by side; input i is number `numbers[i]` of all."""
    return Rng.of(seed, batch.inputs, numbers, chains=chains, purpose="chains")


def run(
    objective: Objective,
    sampler: Sampler[Any],
    inputs: Batch | Sequence[str],
    *,
    steps: int,
    seed: int,
    chains: int,
    temperature: float,
    warm_up: int,
    thin: int | None,
    until: Rule | None,
    callbacks: Sequence[Callback],
    numbers: Sequence[int] | None,
    keeper: Keeper,
) -> Generations:
    """See `textsearch.generate`, which checks the arguments; `keeper` keeps what is to outlive the process."""
    start = starting_batch(sampler, inputs)
    objective.check(start)
    sources = sources_of(start)
    told = input_numbers(numbers, len(sources))
    keeper.claim(objective, sampler, start, Settings(seed, chains, temperature, warm_up, thin, told), steps)
    rng = streams(seed, start, chains, told)
    batch = marked(objective, start.repeat(chains))
    kinds = "/".join(dict.fromkeys(sampler.kinds))
    with torch.inference_mode(), sharing(), ledger() as usage, charged_to(kinds):
        # what is kept of the steps so far changes in one assignment: an interrupt finds whole steps only
        done = keeper.begin(
            RunState.start(sampler, objective, batch, rng.at(0, total=steps)), len(objective.parts), usage
        )
        last, before = keeper.info, int(done.steps[0])
        interrupted = False
        failure: BaseException | None = None
        began = time.perf_counter() - keeper.seconds

        def look(info: Info, taken: int) -> Progress:
            return Progress(
                step=taken,
                steps=steps,
                warm_up=warm_up,
                state=done.chains,
                info=info,
                best=done.best.batch,
                best_energies=done.best.evaluation.energy,
                best_steps=done.best_steps,
                trace=keeper.recorder.trace,
                acceptance=done.acceptance,
                usage=usage,
                seconds=time.perf_counter() - began,
            )

        try:
            # a rule that had ended the run says so again
            over = last is not None and until is not None and until(look(last, before))
            for taken in range(before, before if over else steps):
                after, info = step(objective, sampler, done, temperature, common=taken)
                keeper.record(recorded(after, info, kept_after(taken, warm_up, thin)))
                done, last = after, info
                if callbacks or until:
                    progress = look(info, taken + 1)
                    answers = [callback(progress) for callback in callbacks]
                    if any(answers):
                        interrupted = taken + 1 < steps
                        break
                    if until and until(progress):
                        break
                keeper.after(done, info, usage, time.perf_counter() - began)
        except KeyboardInterrupt:
            interrupted = True
        except BaseException as error:
            failure = error
        seconds = time.perf_counter() - began
        failure = keeper.close(done, last, usage, seconds, failure)

        def gather(interrupted: bool) -> Generations:
            return generations(
                objective,
                sampler,
                done,
                keeper.recorder.gathered(int(done.steps[0])),
                sources=sources,
                warm_up=warm_up,
                usage=usage,
                seconds=seconds,
                interrupted=interrupted,
            )

        if failure is None:
            return gathered(gather, interrupted)
        try:
            carry(failure, gathered(gather, True))
        except Exception as error:
            failure.add_note(f"what the steps before had given is lost: {said(error)}")
        try:
            raise failure
        finally:
            # the error would hold this frame, and the frame the error
            del failure


def sources_of(batch: Batch) -> list[str]:
    """The inputs as text: of each number the first row that belongs to it, empty where none does."""
    sources = [""] * (int(batch.inputs.max()) + 1)
    for number, text in reversed(list(zip(batch.inputs.tolist(), batch.texts(), strict=True))):
        sources[number] = text
    return sources


def generations(
    objective: Objective,
    sampler: Sampler[Any],
    done: RunState[Any],
    record: Record,
    *,
    sources: list[str],
    warm_up: int,
    usage: Mapping[str, Usage],
    seconds: float,
    interrupted: bool,
) -> Generations:
    """What is given back of chains of whose steps this was kept."""
    names, batch, best = term_names(objective), done.batch, done.best.evaluation
    return Generations(
        texts=batch.texts(),
        energies=done.energies.cpu().numpy(),
        best_texts=done.best.batch.texts(),
        best_energies=best.energy.cpu().numpy(),
        terms=_columns(names, done.chains.evaluation.terms.cpu().numpy()),
        best_terms=_columns(names, best.terms.cpu().numpy()),
        inputs=batch.inputs.cpu().numpy(),
        sources=sources,
        concerned={number: terms_of(objective, number) for number in sorted(set(batch.inputs.tolist()))},
        acceptance=_acceptance(sampler.kinds, done.moves.sum(0)),
        trace=record.energy,
        term_traces=_columns(names, record.terms),
        length_trace=record.lengths,
        recorded=record.more,
        samples=record.samples,
        sample_steps=record.sample_steps,
        warm_up=min(warm_up, len(record.energy)),
        batch=batch,
        best_batch=done.best.batch,
        guarantee=sampler.guarantee,
        usage=usage,
        seconds=seconds,
        interrupted=interrupted,
    )


def _columns(names: Sequence[str], terms: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Name -> what (..., J) terms hold of it."""
    return {name: terms[..., column] for column, name in enumerate(names)}


def _acceptance(kinds: Sequence[str], moves: Tensor) -> dict[str, Acceptance]:
    """Counts by kind; kinds of one name, from two parts of a mixture, are counted together."""
    counts = dict.fromkeys(kinds, Acceptance(0, 0, 0.0, 0.0))
    for kind, (proposed, accepted, changed, jumped) in zip(kinds, moves.T.tolist(), strict=True):
        counts[kind] = counts[kind].plus(Acceptance(int(proposed), int(accepted), changed, jumped))
    return counts
