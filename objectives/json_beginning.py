"""Whether a JSON document (RFC 8259) may begin so: what needs no schema to be ruled out."""

from __future__ import annotations

import regex

MAX_DEPTH = 100
"""Arrays and objects within one another."""

_SPACE = regex.compile(r"[ \t\n\r]*")
_STRING = regex.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_SCALAR = regex.compile(
    _STRING.pattern + r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null", regex.V0
)


def may_begin(text: str, opening: str = '"-0123456789tfn[{') -> bool:
    r"""Whether a document of at most `MAX_DEPTH` levels begins so, whose first character is one of `opening`.

    >>> [may_begin(text) for text in ('{"a": [1.', '{"a" 1', "[1, 2]", "[1, 2] 3", "01", '"\\u12', "nul", "")]
    [True, False, True, False, False, True, True, True]
    >>> may_begin("[", opening="{")
    False
    """
    stack: list[str] = []
    at, wanted = 0, "value"
    while True:
        found = _SPACE.match(text, at)
        at = found.end() if found is not None else at
        if at == len(text):
            return True
        character = text[at]
        if wanted in {"value", "value or ]"} and character != "]":
            if not stack and character not in opening:
                return False
            if character in "[{":
                stack.append(character)
                if len(stack) > MAX_DEPTH:
                    return False
                at, wanted = at + 1, "value or ]" if character == "[" else "key or }"
                continue
            unfinished = _SCALAR.fullmatch(text, at, partial=True)
            if unfinished is not None:
                return True
            scalar = _SCALAR.match(text, at)
            if scalar is None:
                return False
            at, wanted = scalar.end(), "more"
        elif wanted in {"key", "key or }"} and character == '"':
            if _STRING.fullmatch(text, at, partial=True) is not None:
                return True
            key = _STRING.match(text, at)
            if key is None:
                return False
            at, wanted = key.end(), ":"
        elif wanted == ":" and character == ":":
            at, wanted = at + 1, "value"
        elif wanted == "more" and stack and character == ",":
            at, wanted = at + 1, "value" if stack[-1] == "[" else "key"
        elif (character == "]" and wanted in {"more", "value or ]"} and stack and stack[-1] == "[") or (
            character == "}" and wanted in {"more", "key or }"} and stack and stack[-1] == "{"
        ):
            stack.pop()
            at, wanted = at + 1, "more"
        else:
            return False
