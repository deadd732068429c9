"""Pictures of the page of `edge-style web` for the READMEs: a first visitor's, the sample painted.

    python tools/shots_web.py starry --output exported/gallery

It needs what `bench_web.py` needs. Each picture is written as `web-DEVICE-SCHEME.jpg`.
"""

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_web import browser, served
from edge_style_tools.script import run_script

LARGEST_BYTES = 120_000
QUALITIES = (85, 75, 65, 55, 45)
# The status line is gone by then.
SETTLED_FRAMES = 30
# The pictures do not depend on how fast this machine is.
NETWORK_SIDE_PX = 360


@dataclass(frozen=True)
class Device:
    """What a visitor has in front.

    Attributes:
        name: for the file's name.
        size_px: (width, height) of the page, in CSS pixels.
        scale: pixels of the picture per CSS pixel.
        is_touched: whether it has a touch screen and no pointer.
    """

    name: str
    size_px: tuple[int, int]
    scale: float = 1
    is_touched: bool = False


DEVICES = (Device("desktop", (1280, 800)), Device("phone", (390, 844), 1.5, is_touched=True))
SCHEMES = ("light", "dark")


def main() -> None:
    """Take the pictures, and print where they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="styles or .onnx files; default: all installed")
    parser.add_argument("--output", type=Path, default=Path(), help="folder to write to")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser")
    options = parser.parse_args()
    with served(options.models) as (url, _), browser(options.chromium) as started:
        options.output.mkdir(parents=True, exist_ok=True)
        for device in DEVICES:
            for scheme in SCHEMES:
                path = options.output / f"web-{device.name}-{scheme}.jpg"
                path.write_bytes(shoot(started, url, device, scheme))
                print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def shoot(started: Any, url: str, device: Device, scheme: str) -> bytes:
    """One picture, as a JPEG file of `LARGEST_BYTES` at most, if that is possible."""
    width, height = device.size_px
    context = started.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=device.scale,
        is_mobile=device.is_touched,
        has_touch=device.is_touched,
        color_scheme=scheme,
    )
    page = context.new_page()
    page.goto(f"{url}?side={NETWORK_SIDE_PX}")
    # The line that names the style is gone after a while, thumbnails and figures are there.
    page.wait_for_function(
        "(count) => Number(document.getElementById('stage').dataset.frames) >= count"
        " && document.getElementById('status').textContent === ''"
        " && [...document.images].every((image) => image.complete)",
        arg=SETTLED_FRAMES,
        timeout=120_000,
    )
    for quality in QUALITIES:
        data: bytes = page.screenshot(type="jpeg", quality=quality)
        if len(data) <= LARGEST_BYTES:
            break
    context.close()
    return data


if __name__ == "__main__":
    run_script(main)
