"""Frames per second of the page of `edge-style web`, in a real browser, which paints a clip.

    python tools/bench_web.py starry full.onnx --size 320x240 --size 640x480

It needs the built page (`make web`), Chromium, playwright and PyAV (extras `test`, `video`). Frames
are those that were shown; `infer` is the network alone. The clip has 60 frames a second, which is
as many as the page can show.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

from edge_style.errors import UsageError
from edge_style.images import parse_size
from edge_style.sinks.av_writer import AvWriter
from edge_style.sinks.base import StreamInfo
from edge_style.sources.pan import PanSource
from edge_style.web import WebServer, assemble, choose_models
from edge_style_tools.script import run_script

WARM_UP_FRAMES = 6
CLIP_SIZE_PX = (640, 480)
CLIP_FPS = 60
PHOTO = Path(__file__).parents[1] / "exported" / "gallery" / "astronaut.jpg"
FLAGS = (
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)

# Runs in the page: the times of the network for the frames shown within so many ms.
WATCH = """(duration_ms) => new Promise((resolve) => {
  const stage = document.getElementById("stage");
  const infer_ms = [];
  let first = null, last = null;
  const observer = new MutationObserver(() => {
    last = performance.now();
    first ??= last;
    infer_ms.push(Number(stage.dataset.inferMs));
    // A network slower than that is seen for at least three frames.
    if (last - first < duration_ms || infer_ms.length < 3) return;
    observer.disconnect();
    resolve({ infer_ms, seconds: (last - first) / 1000 });
  });
  observer.observe(stage, { attributeFilter: ["data-frames"] });
})"""


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="styles or .onnx files")
    parser.add_argument("--size", action="append", help="4:3, such as 320x240; may be repeated")
    parser.add_argument("--backend", choices=("wasm", "webgpu"), default="wasm")
    parser.add_argument("--seconds", type=float, default=10, help="per model and size")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    results = list(measure(options))
    if options.json:
        print(json.dumps({"results": results}))
    else:
        show(results)


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One result per model and size."""
    sizes = [parse_size(size) for size in options.size or ["320x240", "640x480"]]
    for width, height in sizes:
        if width * 3 != height * 4:
            raise UsageError(f"the clip is 4:3, got --size {width}x{height}")
    with (
        tempfile.TemporaryDirectory() as folder,
        served(options.models) as (url, styles),
        browser(options.chromium) as started,
    ):
        clip = make_clip(Path(folder) / "clip.mp4")
        for style in styles:
            for width, height in sizes:
                query = f"?backend={options.backend}&style={style}&side={height}"
                yield {
                    "model": style,
                    "size": f"{width}x{height}",
                    **watch(started, url + query, clip, options.seconds),
                }


def make_clip(path: Path) -> Path:
    """A view that glides across a photo, as a file that every browser plays."""
    source = PanSource(PHOTO, CLIP_SIZE_PX)
    writer = AvWriter(path, CLIP_SIZE_PX, StreamInfo(fps=CLIP_FPS, recording=False))
    for number, frame in enumerate(source):
        writer.write(frame.image, number / CLIP_FPS)
    writer.close()
    return path


@contextmanager
def served(models: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The page with these models: its address, and the ids of its styles."""
    site = assemble(choose_models(models), offline=False)
    styles = [str(style["id"]) for style in json.loads(site.read("styles.json"))["styles"]]
    with WebServer(site, 0) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        try:
            yield server.url, styles
        finally:
            server.stop()


@contextmanager
def browser(path: str | None) -> Iterator[Any]:
    """Chromium, without a screen.

    Args:
        path: of the program; None if none was found.

    Raises:
        UsageError: there is none.
    """
    if path is None or not Path(path).is_file():
        raise UsageError("there is no Chromium here: name one with --chromium")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=list(FLAGS)) as started,
    ):
        yield started


def watch(started: Any, url: str, clip: Path, seconds: float) -> dict[str, Any]:
    """Open the page and the clip, let it warm up, and watch what it shows."""
    page = started.new_page()
    page.goto(url)
    wait_for(page, "Number(stage.dataset.frames) > 0")
    page.set_input_files("#files", clip)
    wait_for(page, "stage.dataset.source === 'clip'")
    frames = page.evaluate("() => Number(document.getElementById('stage').dataset.frames)")
    wait_for(page, f"Number(stage.dataset.frames) >= {frames + WARM_UP_FRAMES}")
    seen = page.evaluate(WATCH, seconds * 1000)
    data = page.evaluate("() => ({ ...document.getElementById('stage').dataset })")
    figures = page.locator("#figures").inner_text()
    page.close()
    return {
        "backend": figures.rpartition(", ")[2],
        "file": data["file"],
        "frames": len(seen["infer_ms"]),
        "fps": round((len(seen["infer_ms"]) - 1) / seen["seconds"], 2),
        "infer_ms": round(statistics.median(seen["infer_ms"]), 1),
    }


def wait_for(page: Any, condition: str) -> None:
    """Until `condition`, in which `stage` is the picture's element, holds in the page."""
    page.wait_for_function(
        f"() => {{ const stage = document.getElementById('stage'); return {condition}; }}",
        timeout=120_000,
    )


def show(results: list[dict[str, Any]]) -> None:
    """A table, and how many times the slowest network is behind."""
    table = Table("model", "size", "backend", "frames/s", "infer, ms", "times the fastest")
    for result in results:
        rivals = [other["infer_ms"] for other in results if other["size"] == result["size"]]
        times = f"{result['infer_ms'] / min(rivals):.1f}"
        table.add_row(
            *(result["model"], result["size"], result["backend"]),
            *(f"{result['fps']:.2f}", f"{result['infer_ms']:.1f}", times),
        )
    Console().print(table)


if __name__ == "__main__":
    run_script(main)
