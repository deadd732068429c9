"""The site: the built page, the models, their list, and a service worker that knows them all."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_style.errors import PageNotBuiltError, SinkError, UsageError
from edge_style.images import read_image
from edge_style.web.styles import PREFERENCES, StyleModel, any_style, gallery

PAGE = Path(__file__).resolve().parent / "page"

SAMPLE = "sample.jpg"
STYLES = "styles.json"
WORKER = "sw.js"
INDEX = "index.html"

# Folders whose files have their content or version in their names: what is there under another
# name belongs to an older build.
VERSIONED_FOLDERS = ("assets", "engine", "models", "thumbnails")
# How a site's list of files begins in its worker: a JSON text as a JavaScript string.
_SITE_MARK = json.dumps('{"version": "')[1:-1].encode()
# Too large to fetch before anybody asks for them: the service worker keeps what is used.
_KEPT_WHEN_USED = (".wasm.gz", ".onnx")

_SITE_PLACE = re.compile(r"""(["'`])@edge-style-site@\1""")


@dataclass(frozen=True)
class Site:
    """All files of a site.

    Attributes:
        files: address relative to the site's root -> a file, or its content.
        styles: how many styles the gallery shows.
    """

    files: Mapping[str, Path | bytes]
    styles: int

    def read(self, address: str) -> bytes:
        """The content of one file. Raises KeyError."""
        content = self.files[address]
        return content if isinstance(content, bytes) else content.read_bytes()


def assemble(models: Sequence[StyleModel], *, offline: bool, page: Path | None = None) -> Site:
    """Put a site together.

    Args:
        models: its networks.
        offline: whether a service worker keeps it in the visitor's browser, and isolates it where
            the host does not.
        page: the built page, this package's own if None.

    Raises:
        PageNotBuiltError: there is no built page.
        ModelError, ProviderError, MissingExtraError: a thumbnail cannot be painted.
    """
    folder = page or PAGE
    if not (folder / INDEX).is_file():
        raise PageNotBuiltError(
            "the page is not built here: run 'make web' in a checkout (it needs Node.js 20.19, "
            "22.12 or later), or install a wheel that was built after that"
        )
    files: dict[str, Path | bytes] = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    entries, model_files = gallery(models, read_image(folder / SAMPLE))
    files.update(model_files)
    for_any, model_files = any_style(models)
    files.update(model_files)
    manifest = {
        "styles": entries,
        "any_style": for_any,
        "preferences": PREFERENCES,
        "offline": offline,
    }
    files[STYLES] = json.dumps(manifest, ensure_ascii=False, indent=1).encode()
    site = Site(files, len(entries))
    files[WORKER] = _worker(site)
    return site


def _worker(site: Site) -> bytes:
    """The service worker with the site's version and files written into it."""
    script = site.read(WORKER).decode("utf-8")
    version = hashlib.sha256(script.encode())
    kept: dict[str, str] = {}
    for address in sorted(site.files):
        if address == WORKER:
            continue
        version.update(address.encode())
        if not address.endswith(_KEPT_WHEN_USED):  # of those, content or version is in the name
            checksum = _integrity(site.read(address))
            kept["./" if address == INDEX else address] = checksum
            version.update(checksum.encode())
    text = json.dumps({"version": version.hexdigest()[:16], "files": kept})
    # A JSON text as a JavaScript string.
    filled, count = _SITE_PLACE.subn(lambda _: json.dumps(text), script)
    if count != 1:
        raise ValueError(f"{WORKER} has {count} places for the site's files, expected one")
    return filled.encode()


def _integrity(content: bytes) -> str:
    """What browsers compare a file with before they take it: Subresource Integrity of the W3C."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content).digest()).decode()


def write_site(site: Site, folder: Path) -> int:
    """Write a site to a folder, over an older one of this kind if that is there.

    Other files in the folder are left alone, so that a host's own (`CNAME`, `.nojekyll`) stay.

    Returns:
        Bytes written.

    Raises:
        UsageError: the folder holds something else.
        SinkError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not _is_site(folder):
            raise UsageError(
                f"'{folder}' is not empty and holds no site of ours: name another folder"
            )
        # The worker last: a browser that finds a new one fetches all the rest at once.
        addresses = sorted(site.files, key=lambda address: address == WORKER)
        written = sum(_write(folder / address, site.read(address)) for address in addresses)
        _remove_outdated(site, folder)
    except OSError as error:
        raise SinkError(f"cannot write '{folder}': {error.strerror or error}") from error
    return written


def _is_site(folder: Path) -> bool:
    """Whether `write_site` wrote there before; others have service workers of that name too."""
    worker = folder / WORKER
    return worker.is_file() and _SITE_MARK in worker.read_bytes()


def _write(target: Path, content: bytes) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.write_bytes(content)
    part.replace(target)
    return len(content)


def _remove_outdated(site: Site, folder: Path) -> None:
    for name in VERSIONED_FOLDERS:
        for path in sorted((folder / name).glob("*")):
            if path.is_file() and f"{name}/{path.name}" not in site.files:
                path.unlink()
