"""Model cards, pushing, verifying and Spaces: what goes between a folder on disk and the Hub.

Nothing here imports torch when it is loaded, so that a command's mistakes are answered at once.
"""
