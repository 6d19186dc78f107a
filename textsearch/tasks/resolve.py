"""Models as a task is given them: loaded, by name or folder, or not at all, which means the default."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from textsearch.checks import model_name
from textsearch.kinds import CAUSAL, ENCODER, MASKED, SAMPLER, Kind, instance, nature, shown
from textsearch.models import causal_lm, masked_lm, sentence_encoder, text_classifier
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.classifier import TextClassifier
from textsearch.models.encoder import SentenceEncoder
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.reading.turns import remembered
from textsearch.proposal import Proposal
from textsearch.result.display import waiting
from textsearch.sampler import Sampler

# what the tasks ask of one beyond log p: to be asked for a sentence, and to write on
_CAUSAL = replace(CAUSAL, has=(*CAUSAL.has, "vocabulary", "ask", "continuations"))

Name = str | os.PathLike[str]
Causal = TransformersCausalLM | Name | None
Masked = TransformersMaskedLM | Name | None
Encoder = SentenceEncoder | Name | None


def causal(given: Causal, progress: bool = False) -> TransformersCausalLM:
    """The causal model that is meant."""
    if _CAUSAL.of(given):
        return cast(TransformersCausalLM, given)
    with waiting("loading the causal model", progress):
        return _causal(_name("causal", given, _CAUSAL))


def masked(given: Masked, progress: bool = False) -> TransformersMaskedLM:
    """The masked model that is meant."""
    if MASKED.of(given):
        return cast(TransformersMaskedLM, given)
    with waiting("loading the masked model", progress):
        return _masked(_name("masked", given, MASKED))


def encoder(given: Encoder, progress: bool = False) -> SentenceEncoder:
    """The sentence encoder that is meant."""
    if ENCODER.of(given):
        return cast(SentenceEncoder, given)
    with waiting("loading the sentence encoder", progress):
        return _encoder(_name("encoder", given, ENCODER))


def classifier(given: TextClassifier | Name, progress: bool = False) -> TextClassifier:
    """The text classifier that is meant."""
    if not isinstance(given, str | os.PathLike):
        return given
    with waiting("loading the classifier", progress):
        return _classifier(os.fspath(given))


def check(*, causal: Causal = None, masked: Masked = None, encoder: Encoder = None) -> None:
    """Refuse what is neither a model of the kind nor the name of one; loads nothing.

    Raises:
        TypeError: such a thing.
        ValueError: an empty name.
    """
    for name, given, kind in (("causal", causal, _CAUSAL), ("masked", masked, MASKED), ("encoder", encoder, ENCODER)):
        if not kind.of(given):
            _name(name, given, kind)
        elif name != "encoder" and not hasattr(getattr(given, "vocabulary", None), "tokenizer"):
            raise TypeError(
                f"{name}={shown(given)} has no tokenizer of transformers as its vocabulary.tokenizer, which the tasks "
                "ask for pieces and masks: load a model with textsearch.models, or build the run with generate"
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
def _causal(name: str | None) -> TransformersCausalLM:
    return causal_lm(name)


@remembered(most=2)
def _masked(name: str | None) -> TransformersMaskedLM:
    return masked_lm(name)


@remembered(most=2)
def _encoder(name: str | None) -> SentenceEncoder:
    return sentence_encoder(name)


@remembered(most=2)
def _classifier(name: str) -> TextClassifier:
    return text_classifier(name)
