"""The one exception that command lines and the app show without a traceback."""


class UserError(ValueError):
    """A mistake in what the user typed or pointed at; its text says what was wrong and what to type instead."""
