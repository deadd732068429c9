"""What can go wrong through no fault of the program, each with one line that says what to do.

The command line prints these as `error: MESSAGE` with exit status 2; everything else is a bug and
keeps its traceback. Where a built-in exception means the same, the class is that one as well, so
that callers of the Python API may catch either.
"""


class EdgeStyleError(Exception):
    """Base of all errors that a user can mend; the message is one line."""


class UsageError(EdgeStyleError, ValueError):
    """An option or argument makes no sense: a bad size, contradictory options."""


class MissingExtraError(EdgeStyleError, ImportError):
    """A command needs an optional part of the program that is not installed."""

    def __init__(self, what: str, package: str, extra: str, *alternatives: str) -> None:
        install = " or ".join(f"'edge-style[{name}]'" for name in (extra, *alternatives))
        super().__init__(f"{what} needs the package '{package}': pip install {install}")


class ImageError(EdgeStyleError, ValueError):
    """A picture cannot be read, written or used."""


class ImageNotFoundError(ImageError, FileNotFoundError):
    """There is no picture of that name."""


class ModelError(EdgeStyleError, ValueError):
    """A model cannot be used: truncated, not a network for pictures, contract violated."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no model of that name or path."""


class ProviderError(EdgeStyleError, RuntimeError):
    """An execution provider that was asked for cannot run the model here."""


class SourceError(EdgeStyleError, OSError):
    """Frames cannot be had: no such camera, clip, folder or address."""


class SinkError(EdgeStyleError, OSError):
    """Frames cannot be delivered: no display, no such folder, disk full."""


class PageNotBuiltError(EdgeStyleError, FileNotFoundError):
    """The page for browsers is missing: it is built from a checkout, with Node.js."""


class ContentError(EdgeStyleError, ValueError):
    """Training data cannot be used: an empty folder, a painting that is too small."""


class WeightsError(EdgeStyleError, ValueError):
    """Network weights cannot be used: missing, wrong keys or shapes, another architecture."""


class CheckpointError(WeightsError):
    """A training checkpoint cannot be read, written or resumed from."""


class TrainingDivergedError(EdgeStyleError, ArithmeticError):
    """The loss became infinite or not a number."""


class VerificationError(EdgeStyleError, RuntimeError):
    """An exported file does not compute what the network it came from computes."""
