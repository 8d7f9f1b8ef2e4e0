"""The hosted suite: this file lies at the Space's root with the package genmodels beside it."""

import os
from threading import Event

from genmodels.ui.models import ModelStore
from genmodels.ui.suite import build, launch

store = ModelStore()
launch(build(store), host="0.0.0.0", port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
# The page is up; now the networks, whose import alone takes seconds.
store.load_in_background()
Event().wait()
