"""The whole suite as a Space."""

from genmodels.ui.space import serve

serve()
