"""Simplified and traditional characters: which of them a text is written in, and the same text in the other.

By OpenCC (Kuo and others), which looks at words where a character has several others: 发 is 髮 in 头发 and 發 in 发展.
Only Chinese characters are touched, and every text keeps its length: character i of what comes out is written for
character i of what went in. Traditional characters are written as in Taiwan (為裡群眾) or as in Hong Kong (為裏羣眾).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import regex

SIMPLIFIED, TRADITIONAL, HONG_KONG = "simplified", "traditional", "hongkong"

_WRITES = {TRADITIONAL: "s2tw", HONG_KONG: "s2hk"}
"""Script -> OpenCC's configuration."""

_HAN = regex.compile(r"\p{Han}+")


def simplified(text: str) -> str:
    """A text in simplified characters; one without a traditional character as it is.

    Raises:
        ImportError: OpenCC is not installed.

    >>> simplified("他看著頭髮，說：「OK, 3.5 公里」。")
    '他看着头发，说：「OK, 3.5 公里」。'
    >>> simplified("著名的作家")
    '著名的作家'
    """
    # what Taiwan writes 著 is also a simplified character: it is read as 着 in a traditional text alone
    return _converted(text, "tw2s") if _converted(text, "t2s") != text else text


def in_script(text: str, script: str) -> str:
    """A simplified text in a script.

    Args:
        text: of simplified characters; others stay as they are.
        script: "simplified", "traditional" or "hongkong".

    Raises:
        ImportError: OpenCC is not installed, and the script is another than simplified.

    >>> in_script("皇后之后，头发在这里。", "traditional"), in_script("这里", "hongkong")
    ('皇后之後，頭髮在這裡。', '這裏')
    """
    return text if script == SIMPLIFIED else _converted(text, _WRITES[script])


def check(script: str) -> None:
    """Refuse a script that nothing here can write.

    Raises:
        ImportError: OpenCC is not installed, and the script is another than simplified.
    """
    if script != SIMPLIFIED:
        _converter(_WRITES[script])


def script_of(text: str) -> str:
    """What a text is written in: what more of its characters are, and simplified if neither.

    Raises:
        ImportError: OpenCC is not installed, and the text holds characters that no simplified text has.

    >>> [script_of(text) for text in ("頭髮", "头发", "春天", "they", "臺灣的头")]
    ['traditional', 'simplified', 'simplified', 'simplified', 'traditional']
    """
    if not is_here():
        if found := next((one for one in text if _only_traditional(one)), None):
            raise ImportError(
                f"{found!r} is a traditional character, and to read it takes OpenCC: pip install "
                "'textsearch-sampling[chinese]', or pass script='none' for models that read it as it is"
            )
        return SIMPLIFIED
    traditional = sum(new != old for new, old in zip(_converted(text, "t2s"), text, strict=True))
    other = sum(new != old for new, old in zip(_converted(text, "s2t"), text, strict=True))
    return TRADITIONAL if traditional > other else SIMPLIFIED


@cache
def is_here() -> bool:
    """Whether OpenCC is installed."""
    try:
        _converter("t2s")
    except ImportError:
        return False
    return True


def _only_traditional(character: str) -> bool:
    """Whether the national standards of the two scripts, GB 2312 and Big5, say so."""
    return _encodes(character, "big5") and not _encodes(character, "gb2312") and bool(_HAN.match(character))


def _encodes(character: str, code: str) -> bool:
    try:
        character.encode(code)
    except UnicodeEncodeError:
        return False
    return True


def _converted(text: str, configuration: str) -> str:
    """A text of the same length."""
    convert = _converter(configuration)

    def one(found: regex.Match[str]) -> str:
        run = found[0]
        new = convert(run)
        if len(new) == len(run):
            return new
        singles = [(old, convert(old)) for old in run]
        return "".join(new if len(new) == 1 else old for old, new in singles)

    made: str = _HAN.sub(one, text)
    return made


@cache
def _converter(configuration: str) -> Callable[[str], str]:
    try:
        import opencc
    except ImportError as error:
        raise ImportError(
            "traditional and simplified characters need OpenCC: pip install 'textsearch-sampling[chinese]'"
        ) from error
    made: Any = opencc.OpenCC(configuration)
    convert: Callable[[str], str] = made.convert
    return convert
