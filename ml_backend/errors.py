"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something the user can put right; shown without a traceback.

    Args:
        message: what is wrong, naming the file or value.
        remedy: what to do about it, a sentence; may be empty.
    """

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()
