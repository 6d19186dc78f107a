"""Runs each input to its own end: who enters the batch, who leaves it, and what is told of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from textsearch import tree
from textsearch.batch import Batch
from textsearch.marks import marked
from textsearch.models.usage import Ledger, charged_to, ledger
from textsearch.objective import FunctionObjective, Objective
from textsearch.result import Generations
from textsearch.rng import Rng, StepsApartError, input_numbers
from textsearch.run.active import ActiveChains, ActiveInput, ChainCost
from textsearch.run.loop import (
    Progress,
    Rule,
    generations,
    sources_of,
    starting_batch,
    streams,
)
from textsearch.run.partial import carry, gathered, said
from textsearch.run.recorder import Record, Recorded, kept_after
from textsearch.run.state import RunState, step
from textsearch.sampler import Info, Sampler, State


@final
@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one input.

    Attributes:
        number: of the input.
        result: its chains alone, as `generate` would have them; None if it was refused. `seconds` and `usage` are its
            share, by chains, of what all that ran beside it took.
        error: why it was refused, or what ended it, else None.
        cause: that error itself.
        partial: what there was when it ended, if it had begun.
    """

    number: int
    result: Generations | None = None
    error: str | None = None
    cause: Exception | None = None
    partial: Generations | None = None


def _refused(number: int, error: Exception, partial: Generations | None = None) -> Answer:
    return Answer(number, error=said(error), cause=error, partial=partial)


class IndivisibleError(TypeError):
    """Chains of the sampler cannot come and go: the fault of no input."""


@final
@dataclass(frozen=True, eq=False)
class Plan:
    """What is run, and how; see `textsearch.generate_each`."""

    objective: Objective
    sampler: Sampler[Any]
    steps: int
    seed: int
    chains: int
    temperature: float
    warm_up: int
    thin: int | None
    until: Rule | None
    numbers: Sequence[int] | None = None


def run_each(plan: Plan, inputs: Batch | Sequence[str], batch_inputs: int, in_order: bool) -> Iterator[Answer]:
    """See `textsearch.generate_each`, which checks the arguments."""
    batch, errors = _encoded(plan.sampler, inputs)
    every = [*errors, *([] if batch is None else batch.inputs.tolist())]
    numbers = input_numbers(plan.numbers, max(every) + 1)
    if batch is not None:
        _refuse_whole(plan, batch)
    rng = None if batch is None else streams(plan.seed, batch, plan.chains, numbers)
    found = _answers(plan, batch, rng, errors, batch_inputs)
    return _sorted(found, sorted(set(every))) if in_order else found


def _sorted(answers: Iterator[Answer], numbers: Sequence[int]) -> Iterator[Answer]:
    """The answers by number; what comes early waits."""
    early: dict[int, Answer] = {}
    wanted = deque(numbers)
    for answer in answers:
        early[answer.number] = answer
        while wanted and wanted[0] in early:
            yield early.pop(wanted.popleft())
    yield from (early[number] for number in sorted(early))


def _encoded(sampler: Sampler[Any], inputs: Batch | Sequence[str]) -> tuple[Batch | None, dict[int, Exception]]:
    """The inputs as one batch, and why some are not in it."""
    try:
        batch = starting_batch(sampler, inputs)
    except ValueError:
        if isinstance(inputs, Batch) or len(inputs) == 0:
            raise
    else:
        return batch, {}
    errors: dict[int, Exception] = {}
    for number, text in enumerate(inputs):
        try:
            starting_batch(sampler, [text])
        except ValueError as error:
            errors[number] = error
    good = [number for number in range(len(inputs)) if number not in errors]
    if not good:
        return None, errors
    batch = starting_batch(sampler, [inputs[number] for number in good])
    return replace(batch, inputs=torch.tensor(good, device=batch.device)), errors


def _refuse_whole(plan: Plan, batch: Batch) -> None:
    """Raise if the sampler's chains cannot come and go; a start under an energy that costs nothing tells."""
    free = FunctionObjective(lambda texts: [0.0] * len(texts), name="free")
    for row in range(len(batch)):
        try:
            with torch.inference_mode():
                _divisible(plan, plan.sampler.init(free, batch.rows([row]).repeat(plan.chains)))
        except ValueError:
            # an input that the sampler refuses tells nothing
            continue
        return


def _divisible(plan: Plan, state: State) -> State:
    """The state, if chains can leave it and join it."""
    try:
        tree.check(state, len(state.batch), f"the state of {type(plan.sampler).__name__}, a {type(state).__name__},")
    except tree.NoTreeError as error:
        raise IndivisibleError(
            f"{error}: its chains cannot enter and leave a batch one input at a time. Run it with generate, a group of "
            "inputs at a time, or make the state a frozen dataclass of tensors with a row for each chain"
        ) from error
    return state


def _answers(
    plan: Plan, batch: Batch | None, rng: Rng | None, errors: Mapping[int, Exception], batch_inputs: int
) -> Iterator[Answer]:
    """Each answer when it is there."""
    yield from (_refused(number, error) for number, error in errors.items())
    if batch is None or rng is None:
        return
    sources, numbers = sources_of(batch), batch.inputs.tolist()
    waiting = deque(sorted(set(numbers)))
    active, spent, together, answered = ActiveChains(), ChainCost(), True, bool(errors)
    while waiting or active.inputs:
        answers: list[Answer] = []
        interrupted = False
        failure: BaseException | None = None
        try:
            while not answers and (waiting or active.inputs):
                # what is kept changes in one assignment: an interrupt finds whole steps
                with torch.inference_mode(), ledger() as usage, charged_to("/".join(dict.fromkeys(plan.sampler.kinds))):
                    room = min(batch_inputs - len(active.inputs), len(waiting))
                    if room:
                        begun, refused = _begun(plan, batch, rng, [waiting.popleft() for _ in range(room)])
                        answers += [_refused(number, error) for number, error in refused.items()]
                        active = active.joined(_charged(begun, spent, usage))
                        over, wrong = [] if plan.steps else list(range(len(active.inputs))), dict[int, Exception]()
                    else:
                        began = time.perf_counter()
                        moved = _moved(plan, active, together)
                        together = moved.together
                        spent = spent.plus(time.perf_counter() - began, usage, active.size)
                        answers += [_ended(plan, active, at, spent, sources, moved.wrong[at]) for at in moved.wrong]
                        active = moved.active
                        over, wrong = _over(plan, active, moved.infos, spent)
                        answers += [_ended(plan, active, at, spent, sources, wrong[at]) for at in wrong]
                    answers += [_answer(plan, active, at, spent, sources, False) for at in over if at not in wrong]
                    if over:
                        active = active.of([at for at in range(len(active.inputs)) if at not in over])
        except KeyboardInterrupt:
            interrupted = True
            if not (answered or answers or active.inputs):
                raise
        except BaseException as error:
            failure = error
        # outside of all contexts: they would stay open while the caller has the answer
        for answer in answers:
            answered = True
            yield answer
        if interrupted or failure is not None:
            told = {answer.number for answer in answers}
            for at in [at for at, one in enumerate(active.inputs) if one.number not in told]:
                yield _answer(plan, active, at, spent, sources, True)
            if failure is not None:
                raise failure
            return


def _begun(plan: Plan, batch: Batch, rng: Rng, numbers: Sequence[int]) -> tuple[ActiveChains, dict[int, Exception]]:
    """The chains of some inputs before their first step, and why there are none of others."""
    rows = torch.cat([(batch.inputs == number).nonzero().squeeze(-1) for number in numbers])
    part = batch.rows(rows).narrow()
    try:
        plan.objective.check(part)
        whole = marked(plan.objective, part.repeat(plan.chains))
        state = _divisible(plan, plan.sampler.init(plan.objective, whole))
    except IndivisibleError:
        raise
    except Exception as error:
        if len(numbers) == 1:
            return ActiveChains(), {numbers[0]: error}
        some = ActiveChains()
        refused: dict[int, Exception] = {}
        for number in numbers:
            one, complaint = _begun(plan, batch, rng, [number])
            some, refused = some.joined(one), refused | complaint
        return some, refused
    own = rng.rows((rows[:, None] * plan.chains + torch.arange(plan.chains, device=batch.device)).flatten())
    sizes = [plan.chains * int((part.inputs == number).sum()) for number in numbers]
    begun = tuple(ActiveInput(number, size) for number, size in zip(numbers, sizes, strict=True))
    return ActiveChains(begun, RunState.of(state, len(plan.sampler.kinds), own)), {}


def _charged(begun: ActiveChains, spent: ChainCost, usage: Ledger) -> ActiveChains:
    """The same, who bear the cost of their own start."""
    before = spent.plus(0.0, usage, -begun.size) if begun.inputs else spent
    return replace(begun, inputs=tuple(replace(one, before=before) for one in begun.inputs))


@final
@dataclass(frozen=True, eq=False)
class Stepped:
    """After a step of the active chains.

    Attributes:
        active: those who are left.
        infos: what the step did, of each in `inputs`.
        wrong: place in the active before -> why the input of that place is out; then nobody has moved.
        together: whether the sampler takes chains at different steps at once.
    """

    active: ActiveChains
    infos: Sequence[Info]
    wrong: Mapping[int, Exception]
    together: bool


def _moved(plan: Plan, active: ActiveChains, together: bool) -> Stepped:
    """One step of everybody, or the removal of those who cannot take one."""
    everybody = range(len(active.inputs))
    try:
        try:
            run, infos = _step(plan, active, together)
        except StepsApartError:
            # the sampler goes by the one step of all its chains: from now on it gets those at one step at a time
            together = False
            run, infos = _step(plan, active, together)
    except IndivisibleError:
        raise
    except Exception:
        wrong: dict[int, Exception] = {}
        for at in everybody:
            try:
                _step(plan, active.of([at]), together)
            except Exception as error:
                wrong[at] = error
        if not wrong:
            # together they are refused, alone they are not
            raise
        return Stepped(active.of([at for at in everybody if at not in wrong]), [], wrong, together)
    after = ActiveChains(active.inputs, run)
    sizes = [one.size for one in active.inputs]
    columns = (run.energies, run.chains.evaluation.terms, run.batch.lengths)
    for at, one, info, energy, terms, lengths in zip(
        everybody, active.inputs, infos, *(torch.split(column, sizes) for column in columns), strict=True
    ):
        kept = kept_after(one.steps, plan.warm_up, plan.thin)
        texts = run.batch.rows(after.index([at])).texts() if kept else None
        one.records.append(Recorded(energy, terms, lengths, {"accepted": info.accepted, **info.recorded}, texts))
        one.trace.append(energy)
    return Stepped(after, infos, {}, together)


def _step(plan: Plan, active: ActiveChains, together: bool) -> tuple[RunState[Any], list[Info]]:
    """The chains after one step, and what it did, of each in `inputs`."""
    own = [one.steps for one in active.inputs]
    by_step = [[at for at, taken in enumerate(own) if taken == common] for common in sorted(set(own))]
    groups = [list(range(len(own)))] if together else by_step
    runs: list[RunState[Any]] = []
    infos: dict[int, Info] = {}
    for places in groups:
        part = active.of(places)
        assert part.run is not None
        common = own[places[0]] if len({own[at] for at in places}) == 1 else None
        run, info = step(plan.objective, plan.sampler, part.run, plan.temperature, common=common)
        runs.append(run)
        infos |= dict(zip(places, _split(info, [one.size for one in part.inputs]), strict=True))
    whole = tree.concatenate(runs)
    if len(groups) > 1:
        whole = tree.rows(whole, torch.cat([active.index(places) for places in groups]).argsort())
    return whole, [infos[at] for at in range(len(own))]


def _split(info: Info, sizes: Sequence[int]) -> list[Info]:
    """What a step did, of each input; what is recorded must be of each row."""
    for name, value in info.recorded.items():
        if value.ndim == 0 or len(value) != sum(sizes):
            raise IndivisibleError(
                f"{name!r} is recorded as a tensor of shape {tuple(value.shape)}, not ({sum(sizes)}, ...): it cannot "
                "be shared out among the inputs; run the sampler with generate"
            )
    recorded = {name: torch.split(value, list(sizes)) for name, value in info.recorded.items()}
    accepted, kind, log_ratio = (
        torch.split(value, list(sizes)) for value in (info.accepted, info.kind, info.log_ratio)
    )
    return [
        Info(accepted[at], kind[at], log_ratio[at], {name: values[at] for name, values in recorded.items()})
        for at in range(len(sizes))
    ]


def _over(
    plan: Plan, active: ActiveChains, infos: Sequence[Info], spent: ChainCost
) -> tuple[list[int], dict[int, Exception]]:
    """The places of those who have taken their last step, and errors of rules; `infos` is empty if nobody has moved."""
    wrong: dict[int, Exception] = {}
    if not infos:
        return [], wrong
    over = [at for at, one in enumerate(active.inputs) if one.steps >= plan.steps]
    if plan.until is None:
        return over, wrong
    for at, (one, info) in enumerate(zip(active.inputs, infos, strict=True)):
        if at in over:
            continue
        run = active.of([at]).run
        assert run is not None
        seconds, usage = spent.since(one.before, one.size)
        progress = Progress(
            step=one.steps,
            steps=plan.steps,
            warm_up=plan.warm_up,
            state=run.chains,
            info=info,
            best=run.best.batch,
            best_energies=run.best.evaluation.energy,
            best_steps=run.best_steps,
            trace=one.trace,
            acceptance=run.acceptance,
            usage=usage,
            seconds=seconds,
        )
        try:
            if plan.until(progress):
                over.append(at)
        except Exception as error:
            wrong[at] = error
            over.append(at)
    return sorted(over), wrong


def _ended(plan: Plan, active: ActiveChains, at: int, spent: ChainCost, sources: list[str], error: Exception) -> Answer:
    """What is told of the input at a place, which an error ended."""
    partial = _answer(plan, active, at, spent, sources, True).result
    if partial is not None:
        partial = replace(partial, interrupted=True)
        carry(error, partial)
    return _refused(active.inputs[at].number, error, partial)


def _answer(
    plan: Plan, active: ActiveChains, at: int, spent: ChainCost, sources: list[str], interrupted: bool
) -> Answer:
    """What is given back of the input at a place."""
    one = active.inputs[at]
    seconds, usage = spent.since(one.before, one.size)
    with torch.inference_mode():
        run = active.of([at]).run
        assert run is not None
        whole, steps = run, int(run.steps[0])

        def gather(interrupted: bool) -> Generations:
            return generations(
                plan.objective,
                plan.sampler,
                whole,
                Record.of(one.records[:steps], one.size, len(plan.objective.parts)),
                sources=sources,
                warm_up=plan.warm_up,
                usage=usage,
                seconds=seconds,
                interrupted=interrupted and steps < plan.steps,
            )

        return Answer(one.number, gathered(gather, interrupted))
