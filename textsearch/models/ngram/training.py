"""Training an n-gram model on a text file: tokens on disk, counts by sorting, smoothing, files to map."""

from __future__ import annotations

import gzip
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsearch.checks import whole
from textsearch.models.checkpoints.characters import SPECIALS, character_tokenizer
from textsearch.models.ngram.counting import BLOCK, count_ngrams
from textsearch.models.ngram.kneser_ney import estimate
from textsearch.models.ngram.tables import NgramTables

DIRECTIONS = ("left_to_right", "right_to_left")

_LINES = 5_000  # read by the tokenizer at once


def lines_of(path: Path) -> Iterator[str]:
    """The texts of a file, one a line, empty ones left out; a name that ends with .gz is unpacked.

    Raises:
        ValueError: it is no text in UTF-8; the message names the line.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if "\0" in line:
                    raise ValueError(f"line {number} of {path} holds a NUL byte: it is no text")
                if text := line.strip():
                    yield text
    except UnicodeDecodeError as error:
        # lines are decoded many at a time, so that the error knows no line
        with opener(path, "rb") as raw:
            number = next(number for number, line in enumerate(raw, 1) if not _is_utf8(line))
        raise ValueError(
            f"line {number} of {path} is not UTF-8: convert the file, from Latin-1 by: iconv -f latin1 -t utf-8"
        ) from error
    except gzip.BadGzipFile as error:
        raise ValueError(f"{path} is not what its name says, compressed by gzip: {error}") from error


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def characters_of(texts: Iterable[str], least: int = 3) -> Any:
    """A tokenizer whose tokens are the characters that stand in the texts at least `least` times, spaces among them.

    >>> tokenizer = characters_of(["to do", "do"], least=2)
    >>> tokenizer.convert_ids_to_tokens(tokenizer("do not", add_special_tokens=False)["input_ids"])
    ['d', 'o', '[UNK]', '[UNK]', 'o', '[UNK]']
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    pieces = [*SPECIALS.values(), *sorted(one for one, count in counts.items() if count >= least and one.isprintable())]
    return character_tokenizer(pieces, spaces=True)


def end_of(tokenizer: Any) -> int:
    """The token that ends a text.

    Raises:
        ValueError: the tokenizer names none.
    """
    for name in ("eos_token_id", "sep_token_id"):
        if isinstance(found := getattr(tokenizer, name, None), int):
            return found
    raise ValueError("the tokenizer names no token that ends a text: set its eos_token or sep_token")


def train_ngrams(
    texts: Iterable[str],
    tokenizer: Any,
    *,
    order: int = 5,
    cutoffs: Sequence[int] = (),
    direction: str = "left_to_right",
    scratch: Path | None = None,
    block: int = BLOCK,
) -> NgramTables:
    """Interpolated modified Kneser-Ney over the tokens of texts.

    Args:
        texts: read once; what memory holds does not grow with their number, but for n-grams of the second highest
            order, of which it holds a few numbers each.
        tokenizer: a fast tokenizer of transformers.
        order: of the longest n-grams, in tokens.
        cutoffs: counts up to which n-grams are left out, from order 1 on, of order 1 always 0; the last is that of all
            longer ones. () keeps all, (0, 0, 1) drops what was seen once from order 3 on.
        direction: "right_to_left" reads each text from its last token to its first.
        scratch: a folder for what is not kept in memory, several times the size of the texts; by default a temporary
            one.
        block: numbers sorted at once.

    Raises:
        ValueError: there are no texts, or arguments that cannot be meant.
    """
    order = whole("order", order, 1, unit="token")
    if direction not in DIRECTIONS:
        raise ValueError(f"direction={direction!r} is neither 'left_to_right' nor 'right_to_left'")
    cut = [*cutoffs, *[cutoffs[-1] if cutoffs else 0] * order][:order]
    if cut[0] != 0 or cut != sorted(cut):
        raise ValueError(
            f"cutoffs={tuple(cutoffs)} must begin with 0 and not fall: what is left out of an order is part of nothing "
            "that is kept of a longer one"
        )
    size, end = 1 + int(max(tokenizer.get_vocab().values())), end_of(tokenizer)
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        folder = Path(temporary)
        stream = _stream(texts, tokenizer, size, end, folder / "tokens.bin")
        if direction == "right_to_left":
            stream = _turned(stream, size, end, folder / "turned.bin")
        tables = list(count_ngrams(stream, size, order, folder, block))
        return estimate(stream, tables, size, end, direction, cut)


def _stream(texts: Iterable[str], tokenizer: Any, begin: int, end: int, path: Path) -> NDArray[np.int32]:
    """All texts, each between `begin` and `end`, as a file that is mapped into memory."""
    with path.open("wb") as file:
        left = iter(texts)
        while some := list(islice(left, _LINES)):
            rows = tokenizer(some, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
            # a text that spells out the mark of an end would be taken for two
            tokens = chain.from_iterable((begin, *row, end) for row in rows if row and end not in row)
            np.fromiter(tokens, dtype=np.int32).tofile(file)
    if not path.stat().st_size:
        raise ValueError("there is no text to train on: give a file with a text on each line")
    return np.memmap(path, dtype=np.int32, mode="r")


def _turned(stream: NDArray[np.int32], begin: int, end: int, path: Path) -> NDArray[np.int32]:
    """Every text from its last token to its first; read backwards, an end is a beginning."""
    with path.open("wb") as file:
        for stop in range(len(stream), 0, -BLOCK):
            part = np.array(stream[max(0, stop - BLOCK) : stop][::-1])
            begins, ends = part == begin, part == end
            part[begins], part[ends] = end, begin
            part.tofile(file)
    return np.memmap(path, dtype=np.int32, mode="r")
