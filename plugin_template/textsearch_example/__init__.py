"""An objective and a sampler for textsearch."""

from textsearch_example.alliteration import Alliteration
from textsearch_example.barker import Barker

__all__ = ["Alliteration", "Barker"]
