"""Character-level tokenizers, from a `vocab.txt` of one character a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
"""What BERT calls its special tokens."""


def is_character_level(pieces: Sequence[str]) -> bool:
    """Whether a vocabulary holds BERT's special tokens and single characters, and nothing else.

    >>> is_character_level([*SPECIALS.values(), "春", "天"]), is_character_level([*SPECIALS.values(), "spring"])
    (True, False)
    """
    return set(SPECIALS.values()) <= set(pieces) and all(
        len(piece) == 1 or piece in SPECIALS.values() for piece in pieces
    )


def character_tokenizer(pieces: Sequence[str], *, spaces: bool = False) -> Any:
    """Each character a token, whatever its script; white space is left out, as Chinese is written, unless `spaces`.

    BERT's own tokenizer would read "1982" as one word and find no such piece.

    >>> tokenizer = character_tokenizer([*SPECIALS.values(), "1", "9", "年", "A", "a"])
    >>> tokenizer("19 年[MASK]A", add_special_tokens=False)["input_ids"]
    [5, 6, 7, 4, 8]
    >>> tokenizer.decode([5, 6, 7, 9])
    '19年a'
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    index = {piece: number for number, piece in enumerate(pieces)}
    tokenizer: Any = Tokenizer(models.WordLevel(index, unk_token=SPECIALS["unk_token"]))
    tokenizer.normalizer = normalizers.Replace(Regex(r"\s"), " ") if spaces else normalizers.Replace(Regex(r"\s+"), "")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    cls, sep = SPECIALS["cls_token"], SPECIALS["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", special_tokens=[(cls, index[cls]), (sep, index[sep])]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **SPECIALS)
