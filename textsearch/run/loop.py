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
from textsearch.objective import Evaluation, Objective, term_names, terms_of
from textsearch.result import Acceptance, Generations
from textsearch.rng import Rng, input_numbers
from textsearch.run.partial import carry, gathered, said
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


@final
@dataclass(frozen=True, eq=False)
class RunState:
    """What is kept of the steps taken so far.

    Attributes:
        steps: how many.
        state: of the sampler.
        best: the best texts.
        best_evaluation: their energies.
        best_steps: (B,) int64, how many had been taken when each was met first.
        moves: (B, 4, kinds) float64: moves proposed and accepted, tokens changed, squared changes of the energy.
    """

    steps: int
    state: State
    best: Batch
    best_evaluation: Evaluation
    best_steps: Tensor
    moves: Tensor

    @staticmethod
    def start(state: State, kinds: int, steps: int = 0) -> RunState:
        """Before the first step of these chains, after `steps` of others."""
        batch = state.batch
        moves = torch.zeros(len(batch), 4, kinds, dtype=torch.float64, device=batch.device)
        return RunState(steps, state, batch, state.evaluation, torch.full_like(batch.lengths, steps), moves)

    def then(self, state: State, info: Info) -> RunState:
        """One step more."""
        before, after = self.state.evaluation.energy, state.evaluation.energy
        better = after < self.best_evaluation.energy
        jump = (after - before).square()
        each = torch.stack(
            [
                torch.ones_like(jump),
                info.accepted.to(torch.float64),
                state.batch.changed(self.state.batch).to(torch.float64),
                # to or from a forbidden text, which only search methods visit, there is no distance
                jump.where(jump.isfinite(), 0.0),
            ],
            1,
        )
        return RunState(
            self.steps + 1,
            state,
            self.best.where(better, state.batch),
            self.best_evaluation.where(better, state.evaluation),
            self.best_steps.masked_fill(better, self.steps + 1),
            self.moves.scatter_add(2, info.kind[:, None, None].expand(-1, 4, 1), each[..., None]),
        )

    @property
    def acceptance(self) -> float:
        """Share of all proposals taken."""
        proposed, accepted = self.moves[:, :2].sum((0, 2))
        return float(accepted / proposed)


@final
@dataclass(frozen=True, eq=False)
class Recorded:
    """What a run remembers of one step: (B,) energies, (B, J) terms, (B,) lengths, what the sampler wants recorded."""

    energy: Tensor
    terms: Tensor
    lengths: Tensor
    more: Mapping[str, Tensor]
    sample: list[str] | None


def kept_after(step: int, warm_up: int, thin: int | None) -> bool:
    """Whether the texts are kept after the step of this number, counted from 0."""
    return thin is not None and step >= warm_up and (step + 1 - warm_up) % thin == 0


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
) -> Generations:
    """See `textsearch.generate`, which checks the arguments."""
    batch = starting_batch(sampler, inputs)
    objective.check(batch)
    sources = sources_of(batch)
    rng = streams(seed, batch, chains, input_numbers(numbers, len(sources)))
    batch = marked(objective, batch.repeat(chains))
    kinds = "/".join(dict.fromkeys(sampler.kinds))
    with torch.inference_mode(), sharing(), ledger() as usage, charged_to(kinds):
        # what is kept of the steps so far changes in one assignment: an interrupt finds whole steps only
        done = RunState.start(sampler.init(objective, batch), len(sampler.kinds))
        records: list[Recorded] = []
        trace: list[Tensor] = []
        interrupted = False
        failure: BaseException | None = None
        began = time.perf_counter()
        try:
            for step in range(steps):
                after, info = sampler.step(objective, done.state, rng.at(step), temperature)
                kept = kept_after(step, warm_up, thin)
                records.append(
                    Recorded(
                        after.evaluation.energy,
                        after.evaluation.terms,
                        after.batch.lengths,
                        {"accepted": info.accepted, **info.recorded},
                        after.batch.texts() if kept else None,
                    )
                )
                done = done.then(after, info)
                if callbacks or until:
                    trace.append(after.evaluation.energy)
                    progress = Progress(
                        step=done.steps,
                        steps=steps,
                        warm_up=warm_up,
                        state=done.state,
                        info=info,
                        best=done.best,
                        best_energies=done.best_evaluation.energy,
                        best_steps=done.best_steps,
                        trace=trace,
                        acceptance=done.acceptance,
                        usage=usage,
                        seconds=time.perf_counter() - began,
                    )
                    answers = [callback(progress) for callback in callbacks]
                    if any(answers):
                        interrupted = step + 1 < steps
                        break
                    if until and until(progress):
                        break
        except KeyboardInterrupt:
            interrupted = True
        except BaseException as error:
            failure = error
        seconds = time.perf_counter() - began

        def gather(interrupted: bool) -> Generations:
            return generations(
                objective,
                sampler,
                done,
                records[: done.steps],
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
    done: RunState,
    records: Sequence[Recorded],
    *,
    sources: list[str],
    warm_up: int,
    usage: Mapping[str, Usage],
    seconds: float,
    interrupted: bool,
) -> Generations:
    """What is given back of chains that went through the steps `records`."""
    names, batch, best_evaluation = term_names(objective), done.state.batch, done.best_evaluation
    return Generations(
        texts=batch.texts(),
        energies=done.state.evaluation.energy.cpu().numpy(),
        best_texts=done.best.texts(),
        best_energies=best_evaluation.energy.cpu().numpy(),
        terms=_columns(names, done.state.evaluation.terms.cpu().numpy()),
        best_terms=_columns(names, best_evaluation.terms.cpu().numpy()),
        inputs=batch.inputs.cpu().numpy(),
        sources=sources,
        concerned={number: terms_of(objective, number) for number in sorted(set(batch.inputs.tolist()))},
        acceptance=_acceptance(sampler.kinds, done.moves.sum(0)),
        trace=_stack([record.energy for record in records], len(batch)),
        term_traces=_columns(names, _stack([record.terms for record in records], len(batch), len(names))),
        length_trace=_stack([record.lengths for record in records], len(batch)),
        recorded=_recorded(records),
        samples=[record.sample for record in records if record.sample is not None],
        sample_steps=[number + 1 for number, record in enumerate(records) if record.sample is not None],
        warm_up=min(warm_up, len(records)),
        batch=batch,
        best_batch=done.best,
        guarantee=sampler.guarantee,
        usage=usage,
        seconds=seconds,
        interrupted=interrupted,
    )


def _stack(steps: Sequence[Tensor], *shape: int) -> NDArray[Any]:
    """(T, ...) one array of what was recorded; of no steps, (0, *shape)."""
    return torch.stack(list(steps)).cpu().numpy() if steps else np.zeros((0, *shape))


def _columns(names: Sequence[str], terms: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Name -> what (..., J) terms hold of it."""
    return {name: terms[..., column] for column, name in enumerate(names)}


def _recorded(records: Sequence[Recorded]) -> dict[str, NDArray[Any]]:
    """Name -> (T, ...) what the sampler wanted recorded at every step.

    Samplers that take turns may record different things, or things of different shapes under one name.
    """
    first = records[0].more if records else {}
    return {
        name: _stack([record.more[name] for record in records])
        for name, value in first.items()
        if all(name in record.more and record.more[name].shape == value.shape for record in records)
    }


def _acceptance(kinds: Sequence[str], moves: Tensor) -> dict[str, Acceptance]:
    """Counts by kind; kinds of one name, from two parts of a mixture, are counted together."""
    counts = dict.fromkeys(kinds, Acceptance(0, 0, 0.0, 0.0))
    for kind, (proposed, accepted, changed, jumped) in zip(kinds, moves.T.tolist(), strict=True):
        counts[kind] = counts[kind].plus(Acceptance(int(proposed), int(accepted), changed, jumped))
    return counts
