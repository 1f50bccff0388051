"""How good a model is: it runs over a data set with truth, and what it finds is judged by the field's figures."""

from .report import DistanceRow, Figures, Report, Times
from .run import Judged, Scope, Variant, evaluate, evaluate_variants

__all__ = [
    "DistanceRow",
    "Figures",
    "Judged",
    "Report",
    "Scope",
    "Times",
    "Variant",
    "evaluate",
    "evaluate_variants",
]
