"""What the page says of settings, moves, terms and waiting, in English and Chinese.

Labels that the page has anyway are in `page/labels.js`; here stand those of names that tasks and samplers give.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LABELS: Final[Mapping[str, tuple[str, str]]] = {
    "prefix": ("Begins with", "开头"),
    "suffix": ("Ends with", "结尾"),
    "template": ("Template: * is a gap", "模板（* 为空位）"),
    "required": ("Words that it holds, apart by commas", "必须包含的词，以逗号分隔"),
    "forbidden": ("Words that it does not hold, apart by commas", "不得包含的词，以逗号分隔"),
    "words": ("Number of words: 6-12", "词数：6-12"),
    "regex": ("Regular expression", "正则表达式"),
    "rhyme": ("Rhymes with", "押韵的词"),
    "acrostic": ("Acrostic: first letters of its words", "藏头：各词首字母"),
    "topic": ("Topic", "主题"),
    "different": ("Texts that differ", "文本互不相同"),
    "different_weight": ("Cost of equal words, nats", "用词相同的代价（nats）"),
    "inflections": ("Inflected words count", "词形变化也算"),
    "in_order": ("Words in the order given", "按给定顺序"),
    "drafts": ("Drafts", "草稿数"),
    "meaning": ("Keep the meaning", "保持含义"),
    "pool": ("Drafts for each text", "每个文本的草稿数"),
    "strictness": ("Strictness", "严格程度"),
    "tokenised": ("One space between tokens", "词元之间一个空格"),
    "gap": ("How a gap is written", "空位的写法"),
    "marks": ("Marks of punctuation may fill a gap", "标点可填空"),
    "exact": ("Read every word for a gap of one", "单词空位读遍所有词"),
    "label_weight": ("Weight of the label", "标签权重"),
    "topic_weight": ("Weight of the topic", "主题权重"),
    "coherence_weight": ("Weight of coherence", "连贯权重"),
    "couplet_weight": ("Weight of parallel characters", "对仗权重"),
    "grammar": ("Grammar (Lark)", "文法（Lark）"),
    "json_schema": ("JSON schema", "JSON 模式"),
    "power": ("Power of the model's law", "模型分布的幂"),
    "chat": ("Use the chat format", "使用对话格式"),
    "max_length": ("Longest text, tokens", "最大长度（词元）"),
    "method": ("Method", "方法"),
    "tries": ("Tries for each draw", "每次抽样的尝试数"),
    "answer": ("Answer, words of the passage", "答案（文段中的词）"),
    "answers": ("Answers found in the passage, at most", "文段中最多找几个答案"),
    "weight": ("Weight of the answer", "答案权重"),
}
"""Setting, or what a request may hold -> its label: English, Chinese."""

WAITING: Final[Mapping[str, str]] = {
    "loading the causal model": "正在加载因果模型",
    "loading the masked model": "正在加载掩码模型",
    "loading the sentence encoder": "正在加载句子编码器",
    "loading the classifier": "正在加载分类器",
    "writing starts": "正在写起始文本",
    "writing drafts": "正在写草稿",
    "writing questions": "正在写问题",
    "writing bridges between the keywords": "正在写关键词之间的衔接",
    "looking for sentences to change": "正在找可改写的句子",
    "writing texts to start from": "正在写起始文本",
    "looking up words": "正在查词",
    "looking up characters": "正在查字",
    "reading the texts": "正在读文本",
    "listing what may be meant": "正在列出可能的本意",
    "reading every word in the gap": "正在读空位的每个词",
    "spelling": "正在查拼写",
}
"""What is waited for -> the same in Chinese."""

MOVES: Final[Mapping[str, str]] = {
    "replace": "替换",
    "insert": "插入",
    "delete": "删除",
    "swap": "交换",
    "infill": "重填",
    "rewrite": "改写",
    "copy in": "复制插入",
    "take out": "取出",
    "copy over": "复制覆盖",
    "write over": "改写覆盖",
    "exchange": "互换",
    "suffix": "重写结尾",
    "prefix": "重写开头",
    "rest": "静止",
    "resample": "重抽",
}
"""Kind of move, without its numbers -> the same in Chinese."""

TERMS: Final[Mapping[str, str]] = {
    "fluency": "流畅",
    "fluency per token": "每词元流畅度",
    "pseudo-likelihood": "伪似然",
    "keywords": "关键词",
    "forbidden": "禁词",
    "length": "长度",
    "length between": "长度范围",
    "pattern": "正则表达式",
    "template": "模板",
    "acrostic": "藏头",
    "grammar": "文法",
    "similarity": "含义相近",
    "prefix": "开头",
    "suffix": "结尾",
    "rhyme": "押韵",
    "classifier": "分类器",
    "coherence": "连贯",
    "conditional": "条件概率",
    "closeness": "接近原文",
    "unexplained": "无由改动",
    "consensus": "共识",
    "brevity": "简短",
    "as fluent": "通顺",
    "diversity": "多样性",
    "word preservation": "保留用词",
    "preserve": "保留事实",
    "polarity": "肯定与否定",
    "roles": "角色",
    "verbatim": "原样保留",
    "answered": "能否回答",
    "only": "字符限制",
    "gaps": "空位",
    "non-words": "非词",
    "changed sentences": "改动的句子",
    "stray capitals": "多余大写",
    "couplet": "对联",
    "parallel speech": "词性对仗",
}
"""Name of a term -> the same in Chinese."""

TASK_WORDS: Final = {"waiting": WAITING, "moves": MOVES, "terms": TERMS}
"""All of these, as the page is told them."""

ARVIZ: Final = tuple(
    f"{said}: pip install 'textsearch-sampling[diagnostics]'" for said in ("ArviZ is not installed", "未安装 ArviZ")
)
"""Why nothing is known of the chains: English, Chinese."""
