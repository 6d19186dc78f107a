"""Runs each input to its own end: who enters the batch, who leaves it, and what is told of them."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from textsearch import tree
from textsearch.batch import Batch
from textsearch.files import DamagedError
from textsearch.marks import marked
from textsearch.models.reading.threads import sharing
from textsearch.models.usage import Ledger, charged_to, ledger
from textsearch.result import Generations
from textsearch.rng import Rng, StepsApartError, input_numbers
from textsearch.run.active import ActiveChains, ActiveInput, ChainCost
from textsearch.run.each import Answer, IndivisibleError, Plan, divisible, encoded, refused_answer, template_of
from textsearch.run.folders import InputFolders
from textsearch.run.keeper import Keeper, Settings, kept
from textsearch.run.loop import (
    Progress,
    generations,
    sources_of,
    streams,
)
from textsearch.run.partial import carry, gathered, said
from textsearch.run.recorder import Recorded, kept_after
from textsearch.run.state import RunState, step
from textsearch.sampler import Info, State


def run_each(plan: Plan, inputs: Batch | Sequence[str], batch_inputs: int, in_order: bool) -> Iterator[Answer]:
    """See `textsearch.generate_each`, which checks the arguments."""
    batch, errors = encoded(plan.sampler, inputs)
    every = [*errors, *([] if batch is None else batch.inputs.tolist())]
    numbers = input_numbers(plan.numbers, max(every) + 1)
    template = None if batch is None else template_of(plan, batch)
    rng = None if batch is None else streams(plan.seed, batch, plan.chains, numbers)
    found = _kept_answers(plan, batch, rng, numbers, errors, batch_inputs, template)
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


def _kept_answers(
    plan: Plan,
    batch: Batch | None,
    rng: Rng | None,
    numbers: Sequence[int],
    errors: Mapping[int, Exception],
    batch_inputs: int,
    template: State | None,
) -> Iterator[Answer]:
    """Each answer when it is there, with the folder held, if there is one."""
    yield from (refused_answer(number, error) for number, error in errors.items())
    if batch is None or rng is None:
        return
    with kept(plan.checkpoint, plan.every) as keeper:
        settings = Settings(plan.seed, plan.chains, plan.temperature, plan.warm_up, plan.thin, numbers)
        keeper.claim(plan.objective, plan.sampler, batch, settings, plan.steps, "generate_each")
        keeper.open()
        folders = InputFolders(keeper.folder, plan.every)
        begun = None
        if template is not None:
            begun = RunState.of(template, len(plan.sampler.kinds), rng.rows(torch.arange(len(template.batch))))
        total = plan.steps if keeper.first_steps is None else keeper.first_steps
        yield from _answers(plan, batch, rng.at(0, total=total), bool(errors), batch_inputs, keeper, folders, begun)


def _answers(
    plan: Plan,
    batch: Batch,
    rng: Rng,
    answered: bool,
    batch_inputs: int,
    keeper: Keeper,
    folders: InputFolders,
    template: RunState[Any] | None,
) -> Iterator[Answer]:
    """Each answer when it is there."""
    sources, numbers = sources_of(batch), batch.inputs.tolist()
    waiting = deque(sorted(set(numbers)))
    active, spent, together = ActiveChains(), ChainCost(), True
    # what the last step did, of each input: a state that is written tells it
    last: dict[int, Info] = {}
    while waiting or active.inputs:
        answers: list[Answer] = []
        interrupted = False
        failure: BaseException | None = None
        try:
            while not answers and (waiting or active.inputs):
                # what is kept changes in one assignment: an interrupt finds whole steps
                kinds = "/".join(dict.fromkeys(plan.sampler.kinds))
                with torch.inference_mode(), sharing(), ledger() as usage, charged_to(kinds):
                    room = min(batch_inputs - len(active.inputs), len(waiting))
                    if room:
                        entering = [waiting.popleft() for _ in range(room)]
                        begun, refused = _entered(plan, batch, rng, entering, folders, template)
                        answers += [refused_answer(number, error) for number, error in refused.items()]
                        active = active.joined(_charged(begun, spent, usage))
                        # one that had come to its end before the process did says so again
                        last |= {one.number: one.info for one in begun.inputs if one.info is not None}
                        new = {one.number for one in begun.inputs}
                        infos = [last.get(one.number) if one.number in new else None for one in active.inputs]
                        over, wrong = _over(plan, active, infos, spent)
                    else:
                        began = time.perf_counter()
                        moved = _moved(plan, active, together)
                        together = moved.together
                        spent = spent.plus(time.perf_counter() - began, usage, active.size)
                        answers += [_ended(plan, active, at, spent, sources, moved.wrong[at]) for at in moved.wrong]
                        active = moved.active
                        last |= {one.number: info for one, info in zip(active.inputs, moved.infos, strict=False)}
                        over, wrong = _over(plan, active, moved.infos, spent) if moved.infos else ([], {})
                    answers += [_ended(plan, active, at, spent, sources, wrong[at]) for at in wrong]
                    answers += [_answer(plan, active, at, spent, sources, False) for at in over if at not in wrong]
                    due = folders.due
                    for at in range(len(active.inputs)) if due else over:
                        _save(folders, active, at, spent, last)
                    if due:
                        folders.written()
                    if over:
                        for at in over:
                            folders.close(active.inputs[at].number)
                            last.pop(active.inputs[at].number, None)
                        active = active.of([at for at in range(len(active.inputs)) if at not in over])
                    if keeper.terminated:
                        raise SystemExit(128 + signal.SIGTERM)
        except KeyboardInterrupt:
            interrupted = True
            if not (answered or answers or active.inputs):
                raise
        except BaseException as error:
            failure = error
        ended = interrupted or failure is not None
        if ended:
            failure = _saved(folders, active, spent, last, failure)
        try:
            # outside of all contexts: they would stay open while the caller has the answer
            for answer in answers:
                answered = True
                yield answer
        except GeneratorExit:
            # whoever wants no more answers may want them later
            if not ended:
                _saved(folders, active, spent, last, None)
            raise
        if ended:
            told = {answer.number for answer in answers}
            for at in [at for at, one in enumerate(active.inputs) if one.number not in told]:
                yield _answer(plan, active, at, spent, sources, True)
            if failure is not None:
                raise failure
            return


def _save(folders: InputFolders, active: ActiveChains, at: int, spent: ChainCost, last: Mapping[int, Info]) -> None:
    """Write down the input at a place."""
    one, run = active.inputs[at], active.of([at]).run
    assert run is not None
    folders.save(one.number, run, last.get(one.number), one.recorder, *one.cost(spent))


def _saved(
    folders: InputFolders,
    active: ActiveChains,
    spent: ChainCost,
    last: Mapping[int, Info],
    failure: BaseException | None,
) -> BaseException | None:
    """Write down all that are left, and say what went wrong: in the run, or else in writing."""
    try:
        with torch.inference_mode():
            for at in range(len(active.inputs)):
                _save(folders, active, at, spent, last)
    except Exception as error:
        if failure is None:
            return error
        failure.add_note(f"the last checkpoint could not be written: {said(error)}")
    return failure


def _entered(
    plan: Plan,
    batch: Batch,
    rng: Rng,
    numbers: Sequence[int],
    folders: InputFolders,
    template: RunState[Any] | None,
) -> tuple[ActiveChains, dict[int, Exception]]:
    """The chains of some inputs, as they were left or before their first step, and why there are none of others."""
    terms = len(plan.objective.parts)
    active, new, damaged = ActiveChains(), list[int](), dict[int, Exception]()
    for number in numbers:
        try:
            left = None if template is None else folders.taken_up(number, template, terms)
        except DamagedError as error:
            damaged[number] = error
            continue
        if left is None:
            new.append(number)
            continue
        size, taken = len(left.run.steps), int(left.run.steps[0])
        if taken > plan.steps:
            raise ValueError(
                f"steps={plan.steps} is less than the {taken} that input {number} in {plan.checkpoint} has taken: ask "
                "for as many, or for more"
            )
        one = ActiveInput(number, size, left.recorder, info=left.info, seconds=left.seconds, usage=left.usage)
        active = active.joined(ActiveChains((one,), left.run))
    if not new:
        return active, damaged
    begun, refused = _begun(plan, batch, rng, new, folders)
    return active.joined(begun), damaged | refused


def _begun(
    plan: Plan, batch: Batch, rng: Rng, numbers: Sequence[int], folders: InputFolders
) -> tuple[ActiveChains, dict[int, Exception]]:
    """The chains of some inputs before their first step, and why there are none of others."""
    rows = torch.cat([(batch.inputs == number).nonzero().squeeze(-1) for number in numbers])
    part = batch.rows(rows).narrow()
    try:
        plan.objective.check(part)
        whole = marked(plan.objective, part.repeat(plan.chains))
        state = divisible(plan, plan.sampler.init(plan.objective, whole))
    except IndivisibleError:
        raise
    except Exception as error:
        if len(numbers) == 1:
            return ActiveChains(), {numbers[0]: error}
        some = ActiveChains()
        refused: dict[int, Exception] = {}
        for number in numbers:
            one, complaint = _begun(plan, batch, rng, [number], folders)
            some, refused = some.joined(one), refused | complaint
        return some, refused
    own = rng.rows((rows[:, None] * plan.chains + torch.arange(plan.chains, device=batch.device)).flatten())
    sizes = [plan.chains * int((part.inputs == number).sum()) for number in numbers]
    terms = len(plan.objective.parts)
    begun = tuple(
        ActiveInput(number, size, folders.recorder(number, size, terms))
        for number, size in zip(numbers, sizes, strict=True)
    )
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
        more = {"accepted": info.accepted, **info.recorded}
        one.recorder.record(Recorded(energy, terms, lengths, more, texts))
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
    plan: Plan, active: ActiveChains, infos: Sequence[Info | None], spent: ChainCost
) -> tuple[list[int], dict[int, Exception]]:
    """The places of those who have taken their last step, and errors of rules.

    `infos` has what the last step of each did, None for one of which the rule is not to be asked.
    """
    wrong: dict[int, Exception] = {}
    over = [at for at, one in enumerate(active.inputs) if one.steps >= plan.steps]
    if plan.until is None:
        return over, wrong
    for at, (one, info) in enumerate(zip(active.inputs, infos, strict=True)):
        if at in over or info is None:
            continue
        run = active.of([at]).run
        assert run is not None
        seconds, usage = one.cost(spent)
        progress = Progress(
            step=one.steps,
            steps=plan.steps,
            warm_up=plan.warm_up,
            state=run.chains,
            info=info,
            best=run.best.batch,
            best_energies=run.best.evaluation.energy,
            best_steps=run.best_steps,
            trace=one.recorder.trace,
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
    return refused_answer(active.inputs[at].number, error, partial)


def _answer(
    plan: Plan, active: ActiveChains, at: int, spent: ChainCost, sources: list[str], interrupted: bool
) -> Answer:
    """What is given back of the input at a place."""
    one = active.inputs[at]
    seconds, usage = one.cost(spent)
    with torch.inference_mode():
        run = active.of([at]).run
        assert run is not None
        whole, steps = run, int(run.steps[0])

        def gather(interrupted: bool) -> Generations:
            return generations(
                plan.objective,
                plan.sampler,
                whole,
                one.recorder.gathered(steps),
                sources=sources,
                warm_up=plan.warm_up,
                usage=usage,
                seconds=seconds,
                interrupted=interrupted and steps < plan.steps,
            )

        return Answer(one.number, gathered(gather, interrupted))
