"""The classes of a conditional GAN as a Space."""

from genmodels.ui.space import serve

serve("classes")
