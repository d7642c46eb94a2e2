"""The errors that a user can cause and mend."""


class InputError(ValueError):
    """Bad input, told in one sentence: what is wrong and what to do about it.

    The command line prints it on standard error and exits with 2; a page shows it as a message.
    """


class Cancelled(Exception):
    """A long computation was asked to stop; what it had finished is kept in the store."""
