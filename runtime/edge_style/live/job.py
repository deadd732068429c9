"""Which conversion a half-finished clip belongs to."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from edge_style import __version__
from edge_style.any_style import AnyStylizer
from edge_style.live.options import ShowOptions
from edge_style.photo.wrapped import NoPainting
from edge_style.sources import Source
from edge_style.stylizer import Stylizer


def job_of(
    options: ShowOptions, source: Source, stylizers: Sequence[Stylizer | NoPainting | AnyStylizer]
) -> str:
    """What a conversion's frames depend on, so that none goes on with another one's."""
    look = options.look
    files = [source.clip, *(stylizer.path for stylizer in stylizers)]
    for stylizer in stylizers:
        if isinstance(stylizer, AnyStylizer):
            files += stylizer.files
    files += [look] if look is not None and look.is_file() else []
    known = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path]
    wanted = (
        options.size,
        options.style,
        options.partner,
        options.pipeline.controls,
    )
    text = repr((known, wanted, _versions()))
    return hashlib.sha256(text.encode()).hexdigest()


def _versions() -> list[str]:
    """Of what encodes: another version's pictures may not fit to those there are."""
    found = [__version__]
    with suppress(PackageNotFoundError):
        found.append(version("av"))
    return found
