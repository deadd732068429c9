"""What is typed after `--style` for a network that takes any picture: pictures and mixes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_style.errors import UsageError

# In the place of a picture: what the camera sees when the style is chosen.
FRAME = "frame"

_EXPECTED = (
    "expected --style PICTURE, several apart by commas, mixes such as one.jpg=0.7+two.jpg=0.3"
)


@dataclass(frozen=True)
class StylePicture:
    """A picture and its share in a mix.

    Attributes:
        source: a picture's file, or a camera, a clip or an address, see `cameras`.
        share: 0..1.
    """

    source: str
    share: float


@dataclass(frozen=True)
class StyleMix:
    """A style to choose: a picture, or several. What is left to 1 is the photo's own style.

    Attributes:
        name: for people and file names.
        pictures: none for the style of a frame.
    """

    name: str
    pictures: tuple[StylePicture, ...]


def parse_styles(text: str) -> tuple[StyleMix, ...]:
    """Read `one.jpg,two.jpg=0.7+three.jpg=0.3`: styles, each of pictures with shares.

    Without shares the pictures of a mix have equal ones. Shares that sum up to more than 1 are
    scaled down. A file may have any of the characters in its name if it is the only one.

    Raises:
        UsageError: it cannot be read so, or there is no such picture.
    """
    if os.path.isfile(text):  # noqa: PTH113 - Path raises where a list is no file's name
        mixes = [_mix(text, [text])]
    else:
        mixes = [_mix(part, part.split("+")) for part in text.split(",")]
    names = {FRAME: 1}  # a picture may be called frame.jpg
    unique = []
    for mix in mixes:
        if not mix.pictures:
            unique.append(mix)
            continue
        times = names[mix.name] = names.get(mix.name, 0) + 1
        name = mix.name if times == 1 else f"{mix.name}-{times}"
        unique.append(StyleMix(name, mix.pictures))
    return tuple(unique)


def _mix(text: str, parts: Sequence[str]) -> StyleMix:
    if text.strip() == FRAME:
        return StyleMix(FRAME, ())
    found = [_picture(part.strip(), alone=len(parts) == 1) for part in parts]
    if any(share is None for _, share in found):
        if any(share is not None for _, share in found):
            raise UsageError(f"{_EXPECTED}; in '{text}' some have a share and some have none")
        found = [(source, 1 / len(found)) for source, _ in found]
    shares = [share or 0.0 for _, share in found]
    scale = 1 / max(1.0, sum(shares))
    pictures = tuple(
        StylePicture(source, share * scale)
        for (source, _), share in zip(found, shares, strict=True)
    )
    names = "+".join(Path(picture.source).stem or picture.source for picture in pictures)
    return StyleMix(names, pictures)


def _picture(part: str, *, alone: bool) -> tuple[str, float | None]:
    source, has_share, text = part.rpartition("=")
    if Path(part).is_file() or not has_share:
        source, share = part, None
    else:
        share = _share(text)
    is_frame = source == FRAME
    if not source or share == -1.0 or is_frame:
        said = "a frame cannot be mixed" if is_frame and not alone else f"got '{part}'"
        raise UsageError(f"{_EXPECTED}; {said}")
    is_camera = source.isdecimal() or source.startswith("/dev/") or ":" in source
    if not Path(source).is_file() and not is_camera:
        raise UsageError(f"--style: there is no picture '{source}'")
    return source, share


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        return -1.0
    return share if 0 <= share <= 1 else -1.0
