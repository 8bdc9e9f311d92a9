"""The errors a user can meet: one clear line each, saying what was found, expected and to do."""


class SamotionError(Exception):
    """Root of every error that is the user's to mend; the command line prints it and exits with 2."""


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
