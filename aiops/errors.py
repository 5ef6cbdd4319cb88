"""The error that is for the person who runs a command: what it says is printed in one line, without a traceback."""


class UserError(ValueError):
    """Wrong arguments or unreadable files; the message names the thing, the value and what to do."""
