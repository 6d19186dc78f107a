"""Models as a task is given them: loaded, by name or folder, or not at all, which means the default."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

from textsearch.checks import model_name
from textsearch.kinds import CAUSAL, ENCODER, MASKED, SAMPLER, Kind, instance, nature, shown
from textsearch.models import causal_lm, masked_lm, ngram_lm, protocols, sentence_encoder, text_classifier
from textsearch.models.classifier import TextClassifier
from textsearch.models.defaults import default_causal_lm, default_masked_lm, default_sentence_encoder
from textsearch.models.mixture import is_mixture_folder, mixture_lm
from textsearch.models.ngram.tables import is_ngram_folder
from textsearch.models.protocols import CausalLM, MaskedLM, TaskLM
from textsearch.models.reading.turns import remembered
from textsearch.proposal import Proposal
from textsearch.sampler import Sampler
from textsearch.waiting import note, waiting

Name = str | os.PathLike[str]
Causal = CausalLM | Name | None
"""A causal model with the methods that the task uses, its name or folder, or None for the default model."""
Masked = MaskedLM | Name | None
"""A masked model, its name or folder, or None for the default model."""
Encoder = protocols.Encoder | Name | None
"""A sentence encoder, its name or folder, or None for the default model."""

PURPOSES = {
    "score": "to work out log p of texts",
    "vocabulary": "to count the tokens of texts",
    "next_log_probs": "to propose words that suit the text before them",
    "continuations": "to write drafts after a prompt",
    "draw_suffixes": "to write on from the beginning of a draft",
    "suffix_log_probs": "to work out log p of the ends of texts",
    "ask": "to put a request in the model's chat format",
}
"""What tasks use of a causal model, and what for; `textsearch.models.protocols` describes each."""


def causal(given: Causal, progress: bool = False, uses: Sequence[str] = ()) -> TaskLM:
    """The causal model to use.

    Of one that was passed, `check` has made sure of the methods that the task uses; one that is loaded by its name,
    such as a folder of n-grams, is asked for them here.
    """
    if CAUSAL.of(given):
        return cast(TaskLM, given)
    with waiting("loading the causal model", progress):
        model = _causal(_name("causal", given, CAUSAL))
    check(causal=model, uses=uses)
    return model


def masked(given: Masked, progress: bool = False) -> MaskedLM:
    """The masked model to use."""
    if MASKED.of(given):
        return cast(MaskedLM, given)
    name = _name("masked", given, MASKED)
    with waiting("loading the masked model", progress):
        model: MaskedLM = _masked(name)
    if name is not None and getattr(model.vocabulary, "lower_cases", False):
        _tell_of_small_letters(name, progress)
    return model


def encoder(given: Encoder, progress: bool = False) -> protocols.Encoder:
    """The sentence encoder to use."""
    if ENCODER.of(given):
        return cast(protocols.Encoder, given)
    with waiting("loading the sentence encoder", progress):
        return _encoder(_name("encoder", given, ENCODER))


def classifier(given: TextClassifier | Name, progress: bool = False) -> TextClassifier:
    """The text classifier to use."""
    if not isinstance(given, str | os.PathLike):
        return given
    with waiting("loading the classifier", progress):
        return _classifier(os.fspath(given))


def check(
    *,
    causal: Causal = None,
    masked: Masked = None,
    encoder: Encoder = None,
    uses: Sequence[str] = (),
) -> None:
    """Refuse what is neither a model of the kind nor the name of one; loads nothing.

    Args:
        causal: as it was passed to the task.
        masked: as it was passed to the task.
        encoder: as it was passed to the task.
        uses: methods and properties of the causal model that the task uses, among `PURPOSES`; a model of the kind has
            `score` in any case.

    Raises:
        TypeError: such a thing, or a causal model that lacks something that the task uses.
        ValueError: an empty name.
    """
    for name, given, kind in (("causal", causal, CAUSAL), ("masked", masked, MASKED), ("encoder", encoder, ENCODER)):
        if not kind.of(given):
            _name(name, given, kind)
    if CAUSAL.of(causal):
        missing = [method for method in uses if not hasattr(causal, method)]
        if missing:
            lacks = " and ".join(f"no {method}, which the task uses {PURPOSES[method]}" for method in missing)
            raise TypeError(
                f"causal={shown(causal)} has {lacks}: add it as textsearch.models.protocols describes it, or load a "
                "model with textsearch.models.causal_lm"
            )


def moves_to_sampler(given: Callable[[Proposal], Sampler[Any]] | None) -> None:
    """Refuse what makes no sampler of a task's moves."""
    if SAMPLER.of(given):
        raise TypeError(
            f"sampler={shown(given)} is a sampler already, but the moves are the task's: pass what makes one of them, "
            "such as sampler=MetropolisHastings or sampler=lambda moves: MultipleTry(moves, 4)"
        )
    if given is not None and not callable(given):
        raise TypeError(
            f"sampler={shown(given)} is {nature(given)}: pass what makes a sampler of the task's moves, such as "
            "sampler=MetropolisHastings"
        )


def _name(name: str, given: object, kind: Kind) -> str | None:
    """The name or folder of a model."""
    if given is None or isinstance(given, str | os.PathLike):
        return model_name(name, given)
    instance(name, given, kind)
    raise AssertionError("a model of its kind has no name")


# a stream of inputs asks for the same model again with every group
@remembered(most=2)
def _causal(name: str | None) -> TaskLM:
    if name is None:
        return default_causal_lm()
    if is_mixture_folder(name):
        return mixture_lm(name)
    return cast(TaskLM, ngram_lm(name)) if is_ngram_folder(name) else causal_lm(name)


@remembered(most=2)
def _masked(name: str | None) -> Any:
    return default_masked_lm() if name is None else masked_lm(name)


@cache
def _tell_of_small_letters(name: str, progress: bool) -> None:
    """Tell it, once a process."""
    note(
        f"{name} reads small letters only: words that it writes get their capitals by rule; all that is not "
        "rewritten, and what you named, stays as it was",
        progress,
    )


@remembered(most=2)
def _encoder(name: str | None) -> protocols.Encoder:
    return default_sentence_encoder() if name is None else sentence_encoder(name)


@remembered(most=2)
def _classifier(name: str) -> TextClassifier:
    return text_classifier(name)
