"""Where the cards of evaluators say that `Classifier` is."""

from ..features.classifier import Classifier

__all__ = ["Classifier"]
