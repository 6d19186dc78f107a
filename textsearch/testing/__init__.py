"""Laws that samplers, proposals and objectives must obey, as functions, and toys small enough to enumerate.

`check_objective`, `check_proposal` and `check_sampler` give a report, or raise `LawBroken`, which says which law, which
text and which values. See docs/plugins.md for plug-ins that are checked with them.
"""

from textsearch.testing.beginnings import check_beginnings, every_row
from textsearch.testing.constraints import check_allowed
from textsearch.testing.objectives import check_objective
from textsearch.testing.pieces import ByteVocabulary
from textsearch.testing.proposals import check_proposal
from textsearch.testing.report import Law, LawBroken, Report
from textsearch.testing.samplers import check_sampler
from textsearch.testing.spaces import Space, TableObjective
from textsearch.testing.toys import LetterVocabulary, TableCausalLM, TableMaskedLM, letters

__all__ = [
    "ByteVocabulary",
    "Law",
    "LawBroken",
    "LetterVocabulary",
    "Report",
    "Space",
    "TableCausalLM",
    "TableMaskedLM",
    "TableObjective",
    "check_allowed",
    "check_beginnings",
    "check_objective",
    "check_proposal",
    "check_sampler",
    "every_row",
    "letters",
]
