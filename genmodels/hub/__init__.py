"""Model cards and pushing: what turns a pipeline's folder into a repository on the Hub."""

from .cards import write_card
from .push import finish_run, push_folder, require_write_access

__all__ = ["finish_run", "push_folder", "require_write_access", "write_card"]
