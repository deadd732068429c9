"""The bars that the networks are held to, measured in one run: a table for training/NETWORKS.md.

    python tools/bench_bars.py --data DATA --content HELD_OUT [--only speed ...] [--json FILE]

DATA holds `vgg16.safetensors`, `video/fox.mp4`, and the folders `paintings`, `photos` and
`author_models` (those of fast-style-transfer); HELD_OUT eight photos that no network learned on.
The full-size networks beside ours are `exported/checkpoints/STYLE-johnson-steady.pth`, of the same
recipe, and `STYLE-johnson.pth`, without the losses for steadiness. Prints Markdown; ends with
status 1 where a bar is missed. A quarter of an hour on two cores, which should have nothing else
to do.
"""

import argparse
import dataclasses
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_all
from bench_report import ROOT, STYLE, last_json
from edge_style.errors import UsageError
from edge_style_tools.script import run_script

EXPORTED = ROOT / "exported"
CHECKPOINTS = EXPORTED / "checkpoints"
PAINTINGS = {
    "starry": "starry_night.jpg",
    "scream": "the_scream.jpg",
    "wave": "great_wave.jpg",
    "udnie": "udnie.jpg",
    "shipwreck": "shipwreck.jpg",
    "monet": "monet.jpg",
    "hat": "woman_with_hat.jpg",
    "fuchun": "fuchun_mountains.jpg",
}
COMPARED = ("starry", "scream", "wave")  # with full-size networks
BY_AUTHOR = ("scream", "wave", "udnie")
MOTIONS = ("still", "pan", "zoom", "clip")
CAM_FPS = {"640x480": 90, "1280x720": 30}
RUNS = 2  # of `cam` at each size; the slower one counts
MB = 1e6


@dataclass(frozen=True)
class Bar:
    """One line of the table.

    Attributes:
        figure: what is measured.
        bar: what it should be, for people.
        measured: what it is, for people.
        is_met: whether that is enough.
    """

    figure: str
    bar: str
    measured: str
    is_met: bool


@dataclass(frozen=True)
class Data:
    """Where the pictures and weights lie."""

    folder: Path
    content: Path

    def painting(self, style: str) -> Path:
        """The picture that a shipped style was learned from."""
        return self.folder / "paintings" / PAINTINGS[style]

    @property
    def vgg(self) -> Path:
        """Weights of VGG16."""
        return self.folder / "vgg16.safetensors"

    @property
    def clip(self) -> Path:
        """A real clip."""
        return self.folder / "video" / "fox.mp4"

    def author_model(self, style: str) -> Path:
        """A network by the author of fast-style-transfer."""
        return self.folder / "author_models" / style

    def check(self) -> None:
        """Find out now and not after minutes.

        Raises:
            UsageError: something is missing.
        """
        wanted = [self.content, self.folder / "photos", self.vgg, self.clip]
        wanted += map(self.painting, PAINTINGS)
        wanted += map(self.author_model, BY_AUTHOR)
        for path in wanted:
            if not path.exists():
                raise UsageError(f"there is no '{path}'; --help says what --data should hold")


def speed(_: Data) -> Iterator[Bar]:
    """The default style beside the full-size network, another program and the file of eight."""
    shutil.rmtree(bench_all.BUILD, ignore_errors=True)
    bench_all.BUILD.mkdir(parents=True)
    full_size = bench_all.export(bench_all.FULL_SIZE, "fp32")
    files = [_int8(STYLE), _int8("styles"), full_size]
    peer = bench_all.environment("peer", [bench_all.PEER], [])
    options = ["--provider=cpu", "--size=640x480"]
    if peer is not None:
        options.append(f"--command=peer={shlex.quote(str(peer))} tools/bench_peer.py")
    report = bench_all.bench(files, options, quick=False)
    ms = {each["model"]: each["infer_ms"]["p50"] for each in report["results"] if each["infer_ms"]}
    own = ms[_int8(STYLE).name.removesuffix(".onnx")]
    others = [("the full-size network, fp32", full_size.name.removesuffix(".onnx"), 40)]
    if peer is not None:
        others.append((f"{bench_all.PEER}, its built-in styles", "peer", 10))
    for name, key, bar in others:
        ratio = ms[key] / own
        figure = f"`{STYLE}` int8 at 640x480 against {name}"
        measured = f"{ratio:.1f} ({own:.1f} against {ms[key]:.0f} ms)"
        yield Bar(figure, f"{bar} times", measured, ratio >= bar)
    many = ms[_int8("styles").name.removesuffix(".onnx")]
    figure = f"the file of eight styles against `{STYLE}`, int8, 640x480"
    measured = f"{many / own:.2f} ({many:.1f} ms)"
    yield Bar(figure, "1.5 times", measured, many / own <= 1.5)


def live(_: Data) -> Iterator[Bar]:
    """Frames a second end to end, with and without steadying, and what is not the network."""
    for size, bar in CAM_FPS.items():
        for extra, name in (([], ""), (["--stabilize"], ", with `--stabilize`")):
            command = ["-m", "edge_style", "cam", "--model", STYLE, "--source", "test"]
            command += ["--no-pace", "--output", "null", "--size", size, "--duration", "8"]
            found = [_json_of([*command, *extra, "--json"])["fps"] for _ in range(RUNS)]
            measured = f"{min(found):.0f} to {max(found):.0f}"
            yield Bar(f"`cam` end to end, {size}{name}", f"{bar} frames/s", measured,
                      min(found) >= bar)  # fmt: skip
    overhead = _json_of(["tools/bench_overhead.py", str(_int8(STYLE))])["overhead"]
    figure = "everything but inference at 640x480"
    yield Bar(figure, "0.75 ms", f"{overhead:.2f} ms", overhead <= 0.75)


def losses(data: Data) -> Iterator[Bar]:
    """Total loss beside full-size networks; style loss of int8 files beside fp32."""
    by_style = {style: _evaluated(data, style) for style in PAINTINGS}
    for reference, name in (("johnson-steady", ""), ("johnson", ", these without steadiness")):
        ratios, int8_ratios = [], []
        for style in COMPARED:
            found = by_style[style]
            full_size = found[f"{style}-{reference}"]["total"]
            ratios.append((style, found["checkpoint"]["total"] / full_size))
            int8_ratios.append((style, found["int8"]["total"] / full_size))
        figure = f"total loss against full-size networks, 8 photos of 320 pixels{name}"
        measured = f"{_listed(ratios)}; int8 {_listed(int8_ratios)}"
        yield Bar(figure, "1.10", measured, max(ratio for _, ratio in ratios) <= 1.10)
    ratios = [
        (style, found["int8"]["style"] / found["checkpoint"]["style"])
        for style, found in by_style.items()
    ]
    figure = "int8 against fp32, style loss"
    yield Bar(figure, "1.05", _listed(ratios), max(ratio for _, ratio in ratios) <= 1.05)


def iterations(data: Data) -> Iterator[Bar]:
    """How much optimization the default style is worth, as in figure 5 of Johnson et al."""
    files = [CHECKPOINTS / f"{STYLE}-johnson.pth", CHECKPOINTS / f"{STYLE}.pth", _int8(STYLE)]
    report = _json_of(
        ["-m", "edge_style", "evaluate", *map(str, files), "--style", str(data.painting(STYLE)),
         "--content", str(data.folder / "photos"), "--vgg", str(data.vgg), "--json"]
    )  # fmt: skip
    found = [each["iterations"] for each in report["results"] if each["path"]]
    full_size, own, int8 = (1000 if number is None else number for number in found)
    figure = f"iterations of L-BFGS from noise that `{STYLE}` is worth at 256 pixels"
    measured = f"{own}, int8 {int8}; a full-size network {full_size}"
    yield Bar(figure, "20, better 50", measured, min(own, int8) >= 20)


def flicker(data: Data) -> Iterator[Bar]:
    """What `cam` shows, and what the networks paint, beside full-size ones, at equal contrast."""
    own = sorted({*COMPARED, *BY_AUTHOR}, key=list(PAINTINGS).index)
    full_size = [CHECKPOINTS / f"{style}-johnson{kind}.pth"
                 for style in COMPARED for kind in ("", "-steady")]  # fmt: skip
    by_author = [data.author_model(style) for style in BY_AUTHOR]
    found = _json_of(
        ["tools/bench_flicker.py", *(str(_int8(style)) for style in own),
         *map(str, full_size), *map(str, by_author), "--photos", str(data.content),
         "--limit", "4", "--clip", str(data.clip), "--clip-frames", "40", "--stabilize"],
        is_one_line=False,
    )  # fmt: skip
    references = {
        "full-size networks": [(style, CHECKPOINTS / f"{style}-johnson.pth") for style in COMPARED],
        "full-size networks of the same recipe": [
            (style, CHECKPOINTS / f"{style}-johnson-steady.pth") for style in COMPARED
        ],
        "the author's models": list(zip(BY_AUTHOR, by_author, strict=True)),
    }
    for suffix, what in ((" --stabilize", "what `cam` shows"), ("", "the networks alone")):
        for name, pairs in references.items():
            ratios = {
                motion: [
                    found[f"{_int8(style)}{suffix}"][motion]["relative_ratio"]
                    / found[str(other)][motion]["relative_ratio"]
                    for style, other in pairs
                ]
                for motion in MOTIONS
            }
            measured = ", ".join(
                f"{motion} {min(values):.2f} to {max(values):.2f}"
                for motion, values in ratios.items()
            )
            worst = max(max(values) for values in ratios.values())
            yield Bar(f"flicker, {what} against {name}", "half", measured, worst <= 0.5)


def sizes(_: Data) -> Iterator[Bar]:
    """Of the shipped files of one style."""
    found = [EXPORTED / f"{style}{kind}.onnx" for style in PAINTINGS for kind in ("", ".int8")]
    mb = {path.name: path.stat().st_size / MB for path in found}
    largest = max(mb, key=lambda name: mb[name])
    measured = f"{min(mb.values()):.2f} to {mb[largest]:.2f} MB (`{largest}`)"
    yield Bar("size of one shipped style", "1 MB", measured, mb[largest] <= 1)


PARTS: Mapping[str, Callable[[Data], Iterator[Bar]]] = {
    "speed": speed,
    "live": live,
    "losses": losses,
    "iterations": iterations,
    "flicker": flicker,
    "sizes": sizes,
}
WITHOUT_DATA = {"speed", "live", "sizes"}


def main() -> int:
    """Measure, print the table; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of weights and pictures")
    parser.add_argument("--content", type=Path, required=True, help="folder of photos held out")
    parser.add_argument("--only", choices=tuple(PARTS), action="append", help="repeatable")
    parser.add_argument("--json", type=Path, help="write the lines to a file as well")
    options = parser.parse_args()
    data = Data(options.data.absolute(), options.content.absolute())
    names = options.only or list(PARTS)
    if not WITHOUT_DATA.issuperset(names):
        data.check()
    bars = [bar for name in names for bar in PARTS[name](data)]
    if options.json is not None:
        lines = [dataclasses.asdict(bar) for bar in bars]
        options.json.write_text(json.dumps(lines, indent=1) + "\n", "utf-8")
    print(table(bars))
    return 0 if all(bar.is_met for bar in bars) else 1


def table(bars: Sequence[Bar]) -> str:
    """Markdown."""
    lines = ["| figure | bar | measured | met |", "|---|---|---|---|"]
    lines += [
        f"| {bar.figure} | {bar.bar} | {bar.measured} | {'yes' if bar.is_met else '**no**'} |"
        for bar in bars
    ]
    return "\n".join(lines)


def _int8(style: str) -> Path:
    return EXPORTED / f"{style}.int8.onnx"


def _evaluated(data: Data, style: str) -> dict[str, dict[str, float]]:
    """Mean losses of the shipped style and of the full-size networks of its painting."""
    files = {"checkpoint": CHECKPOINTS / f"{style}.pth", "int8": _int8(style)}
    if style in COMPARED:
        for kind in ("johnson", "johnson-steady"):
            files[f"{style}-{kind}"] = CHECKPOINTS / f"{style}-{kind}.pth"
    command = ["-m", "edge_style", "evaluate", *map(str, files.values())]
    command += ["--style", str(data.painting(style)), "--content", str(data.content)]
    command += ["--vgg", str(data.vgg), "--curve-photos", "0", "--size", "320", "--json"]
    results = _json_of(command)["results"]
    by_path = {each["path"]: each["mean"] for each in results}
    return {name: by_path[str(path)] for name, path in files.items()}


def _listed(ratios: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"`{name}` {ratio:.3f}" for name, ratio in ratios)


def _json_of(arguments: Sequence[str], *, is_one_line: bool = True) -> dict[str, Any]:
    """What a script or command prints, as an object."""
    command = [sys.executable, *arguments]
    print("$", shlex.join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return last_json(done.stdout) if is_one_line else dict(json.loads(done.stdout))


if __name__ == "__main__":
    run_script(main)
