"""The terms that an energy can be built from by name, with what each is told.

Names are for people who cannot pass a Python object, over a page or a wire; in Python add the objectives themselves.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

from textsearch.kinds import shown

if TYPE_CHECKING:
    from textsearch.objective import Objective

KINDS = ("text", "words", "number", "whole", "flag")
"""What an argument can be: a text, a list of words or phrases, a number, a whole number, yes or no."""


@final
@dataclass(frozen=True)
class Argument:
    """One thing that a term is told.

    Attributes:
        name: of the objective's own argument.
        kind: one of `KINDS`.
        says: its label: English, Chinese.
        default: what a form begins with; None where nothing is passed unless somebody says so.
    """

    name: str
    kind: str
    says: tuple[str, str]
    default: Any = None


@final
@dataclass(frozen=True)
class NamedTerm:
    """One objective: its class in `objectives`, what it says of a text, and what it is told."""

    name: str
    says: tuple[str, str]
    arguments: tuple[Argument, ...] = ()

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, each of its kind; those that nobody gave are left out.

        Raises:
            ValueError: one that the term does not have, or that is not of its kind, or one that it needs is missing.
        """
        known = {one.name: one for one in self.arguments}
        if strange := [name for name in given if name not in known]:
            raise ValueError(
                f"{self.name} is told nothing called {shown(strange[0])}: choose from {', '.join(known) or 'nothing'}"
            )
        found = {name: _read(f"{self.name}.{name}", known[name].kind, value) for name, value in given.items()}
        found = {name: value for name, value in found.items() if value not in (None, "", [])}
        for name, one in inspect.signature(self._kind()).parameters.items():
            if one.default is one.empty and name in known and name not in found:
                example = json.dumps({name: known[name].default}, ensure_ascii=False)
                raise ValueError(f"{self.name} needs {name}, and is told none: write such as {example}")
        return found

    def make(self, given: Mapping[str, Any]) -> Objective:
        """The objective."""
        return self._kind()(**self.read(given))

    def _kind(self) -> type[Objective]:
        import objectives

        found: type[Objective] = getattr(objectives, self.name)
        return found


def _read(name: str, kind: str, value: Any) -> Any:
    """One argument, as a form or JSON has it."""
    if value is None:
        return None
    if kind == "words":
        words = value.replace("，", ",").split(",") if isinstance(value, str) else value
        if not isinstance(words, list | tuple) or not all(isinstance(one, str) for one in words):
            raise ValueError(f"{name}={shown(value)} must be words or phrases apart by commas, such as 'dog, hot park'")
        return [one.strip() for one in words if one.strip()]
    fits = {"text": str, "flag": bool, "number": int | float, "whole": int}[kind]
    if not isinstance(value, fits) or (kind in ("number", "whole") and isinstance(value, bool)):
        must = {"text": "a text", "flag": "true or false", "number": "a number", "whole": "a whole number"}[kind]
        raise ValueError(f"{name}={shown(value)} must be {must}")
    return value


TERMS: Mapping[str, NamedTerm] = MappingProxyType(
    {
        one.name: one
        for one in (
            NamedTerm(
                "Fluency",
                ("Fluency: -log p of the causal model", "流畅：因果模型的 -log p"),
                (Argument("prompt", "text", ("after this prompt", "在此提示之后")),),
            ),
            NamedTerm(
                "FluencyPerToken",
                ("Fluency per token", "每个词元的流畅度"),
                (Argument("prompt", "text", ("after this prompt", "在此提示之后")),),
            ),
            NamedTerm("PseudoLikelihood", ("Fluency by the masked model", "掩码模型的伪似然")),
            NamedTerm(
                "Keywords",
                ("Keywords: must hold these words", "关键词：必须包含"),
                (
                    Argument("keywords", "words", ("words", "词语"), "dog, park"),
                    Argument("inflections", "flag", ("dog is found in dogs", "允许词形变化"), True),
                    Argument("in_order", "flag", ("in this order", "按此顺序"), False),
                ),
            ),
            NamedTerm(
                "Forbidden",
                ("Forbidden: must not hold these words", "禁词：不得包含"),
                (Argument("phrases", "words", ("words", "词语"), "cat"),),
            ),
            NamedTerm(
                "Length",
                ("Length: a bell around a mean", "长度：围绕均值"),
                (
                    Argument("mean", "number", ("mean, words", "均值（词）"), 8),
                    Argument("sd", "number", ("standard deviation", "标准差"), 2),
                ),
            ),
            NamedTerm(
                "LengthBetween",
                ("Length between bounds", "长度范围"),
                (
                    Argument("low", "whole", ("fewest words", "最少词数"), 4),
                    Argument("high", "whole", ("most words", "最多词数"), 12),
                ),
            ),
            NamedTerm(
                "Pattern",
                ("Regular expression: must be found", "正则表达式：必须匹配"),
                (
                    Argument("pattern", "text", ("expression", "表达式"), r"[.!]$"),
                    Argument("forbid", "flag", ("must not be found", "不得匹配"), False),
                ),
            ),
            NamedTerm("Prefix", ("Begins with", "开头为"), (Argument("prefix", "text", ("text", "文本"), "The"),)),
            NamedTerm("Suffix", ("Ends with", "结尾为"), (Argument("suffix", "text", ("text", "文本"), "home."),)),
            NamedTerm(
                "Template",
                ("Template with gaps *", "带空位 * 的模板"),
                (Argument("template", "text", ("template", "模板"), "The * ran to the *."),),
            ),
            NamedTerm(
                "Acrostic",
                ("Acrostic: first letters", "藏头：首字母"),
                (Argument("letters", "text", ("letters", "字母"), "dog"),),
            ),
            NamedTerm(
                "Grammar",
                ("Grammar that parses the whole text (Lark)", "解析全文的文法（Lark）"),
                (
                    Argument(
                        "grammar", "text", ("rules, or a name", "规则或名称"), 'start: "A " ("dog" | "cat") " ran."'
                    ),
                ),
            ),
            NamedTerm(
                "Similarity",
                ("Meaning like this text", "含义相近"),
                (
                    Argument("texts", "text", ("text", "文本"), "A dog plays outside."),
                    Argument("sharpness", "number", ("nats for a cosine of 0", "余弦为 0 的代价"), 20.0),
                ),
            ),
        )
    }
)
