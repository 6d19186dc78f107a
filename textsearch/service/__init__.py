"""Runs that are queued, watched and kept: what a page and a server share, and no more than one copy of each model.

A `Service` has a folder. A `Submission`, plain data, becomes a run there; runs take turns, are paused, stepped and
stopped, and each writes down what every step did. A service that is started again in the folder goes on with them.
"""

from textsearch.service.limits import Limits
from textsearch.service.service import Service
from textsearch.service.submission import Submission, Term

__all__ = ["Limits", "Service", "Submission", "Term"]
