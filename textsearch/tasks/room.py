"""Room: what a tokenizer must be able to write for a task, and how much of it one text holds.

Known as soon as the vocabulary is, before a model writes drafts.
"""

from __future__ import annotations

from collections.abc import Sequence

from objectives.template import Gap
from objectives.text_features import is_mark
from textsearch.batch import Vocabulary
from textsearch.checks import MAX_TOKENS
from textsearch.kinds import shown
from textsearch.tasks.constraints.layouts import count_of, missing
from textsearch.tasks.request import Request
from textsearch.tasks.starts.frames import Lexicon


def tokens_of(text: str, vocabulary: Vocabulary, name: str = "", remedy: str = "shorten or split it") -> int:
    """How many tokens a text has.

    Args:
        text: to be written.
        vocabulary: of the tokenizer.
        name: of the value that the text is of, for messages.
        remedy: where there are too many.

    Raises:
        ValueError: the tokenizer cannot write it, or it is longer than the moves of a task let a text grow.

    >>> from textsearch.testing import letters
    >>> tokens_of("abc", letters("abc"))
    3
    >>> tokens_of("abd", letters("abc"), "prefix")
    Traceback (most recent call last):
    ...
    ValueError: prefix='abd' cannot be written: 'abd' holds ['d'], not among the letters 'abc'
    """
    said = f"{name}={shown(text)}" if name else shown(text)
    try:
        count = int(vocabulary.encode([text]).lengths[0])
    except ValueError as error:
        raise ValueError(f"{said} cannot be written: {error}") from error
    check_room(text, count, said, remedy)
    return count


def check_room(text: str, count: int, said: str = "", remedy: str = "shorten or split it") -> None:
    """Refuse a text of more tokens than the moves of a task let a text grow to."""
    if count > MAX_TOKENS:
        said = said or shown(text)
        raise ValueError(f"{said} takes {count:,} tokens, above the limit of {MAX_TOKENS} in one text: {remedy}")


def check_texts(texts: Sequence[str], vocabulary: Vocabulary) -> None:
    """Refuse texts that cannot be written, or edited as a whole; see `tokens_of`."""
    for text in texts:
        tokens_of(text, vocabulary)


def check_request(request: Request, vocabulary: Vocabulary) -> None:
    """Refuse fixed parts that cannot be written, and more of them than a text has room for."""
    for name, _, text in request.fixed():
        tokens_of(text, vocabulary, name)
    needed = []
    for layout in request.layouts():
        lacking = missing(request.required, layout)
        fixed = [part for part in [*layout, *lacking] if not isinstance(part, Gap)]
        gaps = sum(part.low for part in layout if isinstance(part, Gap))
        end = layout[-1]
        closed = not isinstance(end, Gap) and is_mark(end[-1])
        sizes = [int(size) for size in vocabulary.encode([" ".join(part) for part in fixed]).lengths] if fixed else []
        needed.append(sum(sizes) + max(gaps - sum(map(count_of, lacking)), 0) + (not closed))
    if needed and min(needed) > MAX_TOKENS:
        raise ValueError(
            f"({request}) takes {min(needed)} tokens or more, above the limit of {MAX_TOKENS} in one text: ask for less"
        )


def check_words(request: Request, lexicon: Lexicon) -> None:
    """Refuse what no word of the lexicon is fit for."""
    for one, value in request.constraints():
        one.check_words(value, request, lambda rule: bool(lexicon.allowed((rule,)).any()))


def check_prompts(prompts: Sequence[str], requests: Sequence[Request], vocabulary: Vocabulary) -> None:
    """Refuse requests whose prompt the causal model cannot read, such as a couplet with a character that it lacks."""
    for number, (prompt, request) in enumerate(zip(prompts, requests, strict=True)):
        if prompt:
            try:
                vocabulary.encode([prompt])
            except ValueError as error:
                raise ValueError(f"request {number} ({request}) cannot be read by the causal model: {error}") from error
