"""Models as a task is given them: loaded, by name or folder, or not at all, which means the default."""

from __future__ import annotations

import os

from textsearch.display import waiting
from textsearch.models import causal_lm, masked_lm, sentence_encoder
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.encoder import SentenceEncoder
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.turns import remembered

Name = str | os.PathLike[str]
Causal = TransformersCausalLM | Name | None
Masked = TransformersMaskedLM | Name | None
Encoder = SentenceEncoder | Name | None


def causal(given: Causal, progress: bool = False) -> TransformersCausalLM:
    """The causal model that is meant."""
    if isinstance(given, TransformersCausalLM):
        return given
    with waiting("loading the causal model", progress):
        return _causal(None if given is None else os.fspath(given))


def masked(given: Masked, progress: bool = False) -> TransformersMaskedLM:
    """The masked model that is meant."""
    if isinstance(given, TransformersMaskedLM):
        return given
    with waiting("loading the masked model", progress):
        return _masked(None if given is None else os.fspath(given))


def encoder(given: Encoder, progress: bool = False) -> SentenceEncoder:
    """The sentence encoder that is meant."""
    if isinstance(given, SentenceEncoder):
        return given
    with waiting("loading the sentence encoder", progress):
        return _encoder(None if given is None else os.fspath(given))


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
