"""How good a model is: it runs over a data set with truth, and what it finds is judged by the field's figures."""

from .evaluate import EvaluableModel, RunVariant, Scope, evaluate, evaluate_variants
from .report import DistanceRow, Figures, Report, Times

__all__ = [
    "DistanceRow",
    "Figures",
    "EvaluableModel",
    "Report",
    "Scope",
    "Times",
    "RunVariant",
    "evaluate",
    "evaluate_variants",
]
