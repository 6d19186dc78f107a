"""What a chat model is asked for, in the language of the texts: requests, and examples that show what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Wanted:
    """One kind of request.

    Attributes:
        before: what is asked for, in front of what it is asked of.
        examples: what such a request was made of, with the answer that was wanted.
        joint: between several things.
    """

    before: str
    examples: tuple[tuple[str, str], ...]
    joint: str = ", "

    def turns(self) -> list[tuple[str, str]]:
        """The examples as requests with answers."""
        return [(self.before + asked, answer) for asked, answer in self.examples]


KEYWORDS: Mapping[str, Wanted] = {
    "en": Wanted(
        "Write one short sentence with the words: ",
        (
            ("book, read, tree", "A girl is reading a book under a tree."),
            ("egg, pan, stove", "The cook fries two eggs in a pan on the stove."),
            ("beach, hat, wear", "An old man with a hat that he always wears sits on the beach."),
        ),
    ),
    "zh": Wanted(
        "用这些词写一个短句：",
        (
            ("书、树下、女孩", "一个女孩在树下看书。"),
            ("鸡蛋、锅、厨师", "厨师在锅里煎了两个鸡蛋。"),
            ("海边、帽子、老人", "戴着帽子的老人坐在海边。"),
        ),
        joint="、",
    ),
}
"""A sentence with some words, by language: somebody does something with the things that are named."""

QUESTIONS: Mapping[str, Wanted] = {
    "en": Wanted(
        "Ask the same question in other words: ",
        (
            ("How can I get rid of a cold quickly?", "How do I cure a cold fast?"),
            ("What are some good places to visit in Norway?", "What are the best places to see in Norway?"),
            ("How do I become a better writer?", "How can I improve my writing?"),
            ("Is it safe to travel alone in Mexico?", "How safe is it to travel alone in Mexico?"),
            ("What is the best way to learn chess?", "How should I learn chess?"),
        ),
    ),
    "zh": Wanted(
        "换一种说法问同样的问题：",
        (
            ("怎样才能很快治好感冒？", "感冒了怎么才能好得快？"),
            ("学习下棋最好的方法是什么？", "应该怎样学习下棋？"),
            ("一个人去云南旅游安全吗？", "独自到云南旅行是否安全？"),
        ),
    ),
}
"""Questions and the same asked in other words: much kept, the opening and a few words changed."""

STATEMENTS: Mapping[str, Wanted] = {
    "en": Wanted(
        "Say the same in other words: ",
        (
            (
                "The meeting was moved to Friday because of the storm.",
                "Because of the storm, the meeting is now on Friday.",
            ),
            ("She finished the book in two days.", "It took her two days to read the book."),
            ("Tell me how to get to the station.", "Explain to me how I get to the station."),
            (
                "Many people in the town work at the old factory.",
                "A lot of the town's people have jobs at the old factory.",
            ),
        ),
    ),
    "zh": Wanted(
        "用别的话说同样的意思：",
        (
            ("因为下大雨，会议改到了星期五。", "由于大雨，会议推迟到星期五举行。"),
            ("她两天就看完了这本书。", "这本书她只用了两天就读完了。"),
            ("镇上的很多人在那家老工厂上班。", "那家老工厂里有不少镇上的人工作。"),
        ),
    ),
}
"""Sentences and the same said in other words."""


COUPLETS = Wanted(
    "请对出下联，字数相等，词性相对，平仄相反：",
    (
        ("海阔凭鱼跃", "天高任鸟飞。"),
        ("两个黄鹂鸣翠柳", "一行白鹭上青天。"),
        ("绿水本无忧，因风皱面", "青山原不老，为雪白头。"),
    ),
)
"""The second line to the first one of a couplet."""


def wish(topic: str, label: str, lang: str = "en") -> str:
    """A request for a sentence about a topic, of a label; either may be empty.

    >>> print(wish("the sea", "sad"), wish("大海", "悲伤", "zh"))
    Write one short sad sentence about the sea. 写一个关于大海的悲伤的短句。
    """
    if lang == "zh":
        return f"写一个{f'关于{topic}的' if topic else ''}{f'{label}的' if label else ''}短句。"
    return f"Write one short{f' {label}' if label else ''} sentence{f' about {topic}' if topic else ''}."
