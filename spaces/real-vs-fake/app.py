"""What the discriminators of two GANs take for real, as a Space."""

from genmodels.ui.space import serve

serve("real_or_fake")
