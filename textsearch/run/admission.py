"""Runs each input to its own end: who enters the batch, who leaves it, and what is told of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from textsearch.batch import Batch
from textsearch.marks import marked
from textsearch.models.reading.threads import sharing
from textsearch.models.usage import Ledger, charged_to, ledger
from textsearch.objective import FunctionObjective, Objective
from textsearch.result import Generations
from textsearch.rng import Rng, StepsApartError, input_numbers
from textsearch.run.active import (
    ActiveChains,
    ActiveInput,
    ChainCost,
    Divisible,
    cut,
    joined,
    part_of,
    rows_of,
)
from textsearch.run.loop import (
    Progress,
    Recorded,
    Rule,
    RunState,
    generations,
    kept_after,
    sources_of,
    starting_batch,
    streams,
)
from textsearch.run.partial import carry, gathered, said
from textsearch.sampler import ChainState, Info, Sampler, State


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
    if isinstance(state, ChainState | Divisible):
        return state
    raise IndivisibleError(
        f"the state of {type(plan.sampler).__name__} is a {type(state).__name__}, which has no rows(index) and "
        "joined(other): its chains cannot enter and leave a batch one input at a time. Run it with generate, a group "
        "of inputs at a time, or take a sampler that keeps texts and energies only, such as MetropolisHastings"
    )


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
    while waiting or active.running:
        answers: list[Answer] = []
        interrupted = False
        failure: BaseException | None = None
        try:
            while not answers and (waiting or active.running):
                # what is kept changes in one assignment: an interrupt finds whole steps
                kinds = "/".join(dict.fromkeys(plan.sampler.kinds))
                with torch.inference_mode(), sharing(), ledger() as usage, charged_to(kinds):
                    room = min(batch_inputs - len(active.running), len(waiting))
                    if room:
                        begun, refused = _begun(plan, batch, rng, [waiting.popleft() for _ in range(room)], active)
                        answers += [_refused(number, error) for number, error in refused.items()]
                        active = active.joined(_charged(begun, spent, usage))
                        over, wrong = [] if plan.steps else list(range(len(active.running))), dict[int, Exception]()
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
                        active = active.of([at for at in range(len(active.running)) if at not in over])
        except KeyboardInterrupt:
            interrupted = True
            if not (answered or answers or active.running):
                raise
        except BaseException as error:
            failure = error
        # outside of all contexts: they would stay open while the caller has the answer
        for answer in answers:
            answered = True
            yield answer
        if interrupted or failure is not None:
            told = {answer.number for answer in answers}
            for at in [at for at, one in enumerate(active.running) if one.number not in told]:
                yield _answer(plan, active, at, spent, sources, True)
            if failure is not None:
                raise failure
            return


def _begun(
    plan: Plan, batch: Batch, rng: Rng, numbers: Sequence[int], active: ActiveChains
) -> tuple[ActiveChains, dict[int, Exception]]:
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
        begun = ActiveChains()
        refused: dict[int, Exception] = {}
        for number in numbers:
            one, complaint = _begun(plan, batch, rng, [number], active)
            begun, refused = begun.joined(one), refused | complaint
        return begun, refused
    own = rng.rows((rows[:, None] * plan.chains + torch.arange(plan.chains, device=batch.device)).flatten())
    sizes = [plan.chains * int((part.inputs == number).sum()) for number in numbers]
    running = [ActiveInput(number, size, active.steps) for number, size in zip(numbers, sizes, strict=True)]
    return ActiveChains(tuple(running), own, RunState.start(state, len(plan.sampler.kinds), active.steps)), {}


def _charged(begun: ActiveChains, spent: ChainCost, usage: Ledger) -> ActiveChains:
    """The same, who bear the cost of their own start."""
    before = spent.plus(0.0, usage, -begun.size) if begun.running else spent
    return replace(begun, running=tuple(replace(one, before=before) for one in begun.running))


@final
@dataclass(frozen=True, eq=False)
class Stepped:
    """After a step of the active chains.

    Attributes:
        active: those who are left.
        infos: what the step did, of each in `running`.
        wrong: place in the active before -> why the input of that place is out; then nobody has moved.
        together: whether the sampler takes chains at different steps at once.
    """

    active: ActiveChains
    infos: Sequence[Info]
    wrong: Mapping[int, Exception]
    together: bool


def _moved(plan: Plan, active: ActiveChains, together: bool) -> Stepped:
    """One step of everybody, or the removal of those who cannot take one."""
    everybody = range(len(active.running))
    try:
        try:
            state, infos = _step(plan, active, together)
        except StepsApartError:
            # the sampler goes by the one step of all its chains: from now on it gets those at one step at a time
            together = False
            state, infos = _step(plan, active, together)
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
    assert active.done is not None
    done = active.done.then(state, _info(infos))
    sizes = [one.size for one in active.running]
    columns = (state.evaluation.energy, state.evaluation.terms, state.batch.lengths)
    for at, one, info, energy, terms, lengths in zip(
        everybody, active.running, infos, *(torch.split(column, sizes) for column in columns), strict=True
    ):
        kept = kept_after(active.steps - one.begun, plan.warm_up, plan.thin)
        texts = state.batch.rows(active.index([at])).texts() if kept else None
        one.records.append(Recorded(energy, terms, lengths, {"accepted": info.accepted, **info.recorded}, texts))
        one.trace.append(energy)
    return Stepped(replace(active, done=done), infos, {}, together)


def _step(plan: Plan, active: ActiveChains, together: bool) -> tuple[State, list[Info]]:
    """The state after one step, and what it did, of each in `running`."""
    own = [active.steps - one.begun for one in active.running]
    by_step = [[at for at, step in enumerate(own) if step == common] for common in sorted(set(own))]
    groups = [list(range(len(own)))] if together else by_step
    states: list[State] = []
    infos: dict[int, Info] = {}
    for places in groups:
        part = active if len(groups) == 1 else active.of(places)
        assert part.done is not None
        sizes = [one.size for one in part.running]
        steps = torch.tensor([own[at] for at in places], device=part.done.best.device)
        apart = len({own[at] for at in places}) > 1
        moment = steps.repeat_interleave(torch.tensor(sizes, device=steps.device)) if apart else own[places[0]]
        assert part.rng is not None
        rng = part.rng.at(moment)
        state, info = plan.sampler.step(plan.objective, part.done.state, rng, plan.temperature)
        states.append(state)
        infos |= dict(zip(places, _split(info, sizes), strict=True))
    whole = joined(states)
    if len(groups) > 1:
        whole = rows_of(whole, torch.cat([active.index(places) for places in groups]).argsort())
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


def _info(infos: Sequence[Info]) -> Info:
    """What a step did to all rows, but for what it recorded."""
    return Info(
        torch.cat([info.accepted for info in infos]),
        torch.cat([info.kind for info in infos]),
        torch.cat([info.log_ratio for info in infos]),
    )


def _over(
    plan: Plan, active: ActiveChains, infos: Sequence[Info], spent: ChainCost
) -> tuple[list[int], dict[int, Exception]]:
    """The places of those who have taken their last step, and errors of rules; `infos` is empty if nobody has moved."""
    wrong: dict[int, Exception] = {}
    if not infos or active.done is None:
        return [], wrong
    over = [at for at, one in enumerate(active.running) if active.steps - one.begun >= plan.steps]
    if plan.until is None:
        return over, wrong
    rates = (active.done.moves[:, 1].sum(1) / active.done.moves[:, 0].sum(1)).tolist()
    row = 0
    for at, (one, info) in enumerate(zip(active.running, infos, strict=True)):
        rows = slice(row, row + one.size)
        row += one.size
        if at in over:
            continue
        seconds, usage = spent.since(one.before, one.size)
        progress = Progress(
            step=active.steps - one.begun,
            steps=plan.steps,
            warm_up=plan.warm_up,
            state=part_of(active.done.state, rows),
            info=info,
            best=cut(active.done.best, rows),
            best_energies=active.done.best_evaluation.energy[rows],
            best_steps=active.done.best_steps[rows] - one.begun,
            trace=one.trace,
            acceptance=sum(rates[rows]) / one.size,
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
    return _refused(active.running[at].number, error, partial)


def _answer(
    plan: Plan, active: ActiveChains, at: int, spent: ChainCost, sources: list[str], interrupted: bool
) -> Answer:
    """What is given back of the input at a place."""
    one = active.running[at]
    steps = active.steps - one.begun
    seconds, usage = spent.since(one.before, one.size)
    with torch.inference_mode():
        done = active.of([at]).done
        assert done is not None
        whole = done

        def gather(interrupted: bool) -> Generations:
            return generations(
                plan.objective,
                plan.sampler,
                whole,
                one.records[:steps],
                sources=sources,
                warm_up=plan.warm_up,
                usage=usage,
                seconds=seconds,
                interrupted=interrupted and steps < plan.steps,
            )

        return Answer(one.number, gathered(gather, interrupted))
