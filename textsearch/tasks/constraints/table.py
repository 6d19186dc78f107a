"""The table of what a request may ask for, in the order in which it is told."""

from __future__ import annotations

from textsearch.tasks.constraints.acrostic import AcrosticConstraint
from textsearch.tasks.constraints.base import Constraint
from textsearch.tasks.constraints.context import ContextConstraint
from textsearch.tasks.constraints.couplet import CoupletConstraint
from textsearch.tasks.constraints.forbidden import ForbiddenConstraint
from textsearch.tasks.constraints.label import LabelConstraint
from textsearch.tasks.constraints.lengths import CharactersConstraint, WordsConstraint
from textsearch.tasks.constraints.prefix import PrefixConstraint
from textsearch.tasks.constraints.regex import RegexConstraint
from textsearch.tasks.constraints.required import RequiredConstraint
from textsearch.tasks.constraints.rhyme import RhymeConstraint
from textsearch.tasks.constraints.suffix import SuffixConstraint
from textsearch.tasks.constraints.template import TemplateConstraint
from textsearch.tasks.constraints.topic import TopicConstraint

CONSTRAINTS: tuple[Constraint, ...] = (
    PrefixConstraint(),
    SuffixConstraint(),
    TemplateConstraint(),
    RequiredConstraint(),
    ForbiddenConstraint(),
    WordsConstraint(),
    CharactersConstraint(),
    RegexConstraint(),
    RhymeConstraint(),
    AcrosticConstraint(),
    CoupletConstraint(),
    LabelConstraint(),
    TopicConstraint(),
    ContextConstraint(),
)
