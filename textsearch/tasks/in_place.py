"""What a masked model finds in the places of a text, each read with all the others as they were written.

One reading of the written text, a row for each place: a term of an energy that costs no pass while chains run. Where
several characters in a row are wrong, each is judged beside the other wrong ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from objectives import InPlace
from objectives.character_channel import Meant
from textsearch.batch import Batch
from textsearch.language.characters import CharacterVocabulary
from textsearch.models.protocols import MaskedLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.tasks.mining import PARTS

WINDOW = 32
"""Characters of a text that are read around a place."""

_ROWS = 256  # in one call


def in_place(mlm: MaskedLM, written: Batch, meant: Sequence[Sequence[Meant]]) -> InPlace:
    """What a masked model of characters finds where something else may have been meant.

    A written character that the model does not know is not judged; another one that it does not know counts as the
    least likely of its place.

    Raises:
        ValueError: the masked model does not read single characters.
    """
    vocabulary = mlm.vocabulary
    if not isinstance(vocabulary, TokenizerVocabulary):
        raise ValueError(
            "masked= has no tokenizer of single characters: take one such as bert-base-chinese, or leave it out"
        )
    own = written.vocabulary
    assert isinstance(own, CharacterVocabulary)
    number = {piece: token for token, piece in enumerate(vocabulary.pieces) if len(piece) == 1}
    theirs = [number.get(one, -1) for one in own.tokens]
    unknown = vocabulary.tokenizer.unk_token_id
    unknown = vocabulary.mask_id if unknown is None else unknown
    sought = [
        (row, place)
        for row, (tokens, places) in enumerate(zip(written.token_lists(), meant, strict=True))
        for place, others in enumerate(places)
        if others and theirs[tokens[place]] >= 0
    ]
    if not any(map(PARTS["zh"].fullmatch, number)):
        raise ValueError(
            "the masked model has no token that is one Chinese character: take one with a token for each, such as "
            "bert-base-chinese, or leave it out"
        )
    size = min(WINDOW, vocabulary.longest)
    found: list[list[dict[int, float]]] = [[{} for _ in places] for places in meant]
    texts = written.token_lists()
    for first in range(0, len(sought), _ROWS):
        part, rows, at = sought[first : first + _ROWS], list[list[int]](), list[int]()
        for row, place in part:
            begin = max(0, min(place - size // 2, len(texts[row]) - size))
            read = [theirs[token] for token in texts[row][begin : begin + size]]
            read = [unknown if token < 0 else token for token in read]
            read[place - begin] = vocabulary.mask_id
            rows.append(read)
            at.append(place - begin)
        log_probs = mlm.log_probs(Batch.of(rows, vocabulary), torch.arange(len(part)), torch.tensor(at))
        for (row, place), law in zip(part, log_probs, strict=True):
            others = list(meant[row][place])
            ids = [theirs[token] for token in (texts[row][place], *others)]
            # -1 reads the last one, which is thrown away
            nats = law[ids].tolist()
            least = min(one for token, one in zip(ids, nats, strict=True) if token >= 0)
            found[row][place] = {
                other: nats[0] - (one if token >= 0 else least)
                for other, token, one in zip(others, ids[1:], nats[1:], strict=True)
            }
    return InPlace(written, found)
