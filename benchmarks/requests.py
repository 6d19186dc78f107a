"""Twenty mixes of hard constraints, each with the words that ask a chat model for the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MIXES: tuple[Mapping[str, Any], ...] = (
    {"template": "The * ran to the *.", "forbidden": ["dog", "team"]},
    {"acrostic": "HELLO"},
    {"rhyme": "day", "words": [6, 10]},
    {"prefix": "My brother", "suffix": "in the garden", "words": [7, 12]},
    {"template": "If *{2,5}, then *{2,6}.", "forbidden": ["you"]},
    {"required": ["river", "old man"], "words": [8, 12], "forbidden": ["the"]},
    {"acrostic": "SPRING", "forbidden": ["she"]},
    {"rhyme": "night", "prefix": "In the evening", "words": [7, 12]},
    {"characters": [40, 50], "required": ["music"]},
    {"template": "*{1,4} told * that *", "words": [8, 12]},
    {"acrostic": "CATS", "rhyme": "deep"},
    {"suffix": "because of the rain", "forbidden": ["was", "were"], "words": [7, 12]},
    {"template": "The *{1} of the *{1} is *{2,4}.", "rhyme": "sea"},
    {"required": ["coffee", "train", "window"], "words": [8, 14]},
    {"prefix": "Nobody", "characters": [30, 45], "forbidden": ["knows", "know"]},
    {"acrostic": "THE END", "required": ["new"]},
    {"rhyme": "gold", "required": ["winter"], "words": [6, 12]},
    {"template": "Every * has a *, and every * has a *."},
    {"words": [5, 5], "rhyme": "rain", "forbidden": ["again"]},
    {"prefix": "The moon", "required": ["sailor"], "rhyme": "star", "words": [7, 13]},
)


def in_words(request: Mapping[str, Any]) -> str:
    """What one would ask a chat model for.

    >>> in_words({"rhyme": "day", "words": [6, 10]})
    'Write one sentence. It has 6 to 10 words. Its last word rhymes with "day".'
    """
    says = {
        "prefix": 'It begins with "{}".',
        "suffix": 'It ends with "{}".',
        "template": 'It has the form "{}", with words in place of each *.',
        "required": 'It contains "{}".',
        "forbidden": 'It does not contain "{}".',
        "words": "It has {} words.",
        "characters": "It has {} characters.",
        "rhyme": 'Its last word rhymes with "{}".',
        "acrostic": 'The first letters of its words spell "{}".',
    }
    parts = ["Write one sentence."]
    for name, form in says.items():
        value = request.get(name)
        if name in {"words", "characters"} and value:
            parts.append(form.format(value[0] if value[0] == value[1] else f"{value[0]} to {value[1]}"))
        elif value:
            parts.append(form.format(value if isinstance(value, str) else '", "'.join(value)))
    return " ".join(parts)
