"""The latent map of a VAE as a Space."""

from genmodels.ui.space import serve

serve("map")
