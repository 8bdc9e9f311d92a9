"""The errors a user can meet: one clear line each, saying what was found, expected and to do."""


class SamotionError(Exception):
    """Root of every error that the user can fix; the command line prints it and exits with 2.

    Args:
        message: what was found, and what was expected, on one line.
        remedy: what to do about it, such as a command; "" where the message says it all.

    ``str()`` gives both, joined by "; ".
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)  # both are kept in args, so that the error survives pickling
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class InputError(SamotionError):
    """A video, image folder or data set that cannot be read as asked."""


class OutputError(SamotionError):
    """A place that cannot be written to."""


class BundleError(SamotionError):
    """An engine bundle that is missing, damaged or of another format."""


class EngineError(SamotionError):
    """A provider or backend that is not there, or an engine that does not run as asked."""


class CheckpointError(SamotionError):
    """Weights that do not fit the network they are loaded into."""


class SettingsError(SamotionError):
    """A setting outside its range."""
