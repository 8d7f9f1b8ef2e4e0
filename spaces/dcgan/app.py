"""The samples of a DCGAN as a Space."""

from genmodels.ui.space import serve

serve("samples", models="dcgan-cifar10-frogs")
