"""A text tried along several routes, and what is known of the chains that come of it."""

from .asked import AnyTrial, FreeTrial, ItemTrial, Trial
from .found import ALTERNATIVES, Finding, Outcome, Standing, judge, open_backend, stand

__all__ = [
    "ALTERNATIVES",
    "AnyTrial",
    "Finding",
    "FreeTrial",
    "ItemTrial",
    "Outcome",
    "Standing",
    "Trial",
    "judge",
    "open_backend",
    "stand",
]
