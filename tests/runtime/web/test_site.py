"""The site and its server, without a browser: a page of a few bytes stands for the built one."""

import base64
import contextlib
import hashlib
import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from edge_style.errors import ModelError, ModelNotFoundError, PageNotBuiltError, UsageError
from edge_style.web import Site, WebServer, assemble, choose_models, write_site
from edge_style.web.site import PAGE

from ..conftest import CliResult, assert_error
from .conftest import MODELS, PHOTO

POLICY = "default-src 'none'; script-src 'self'"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """What `make web` builds, in small."""
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "engine").mkdir()
    meta = f'<meta http-equiv="Content-Security-Policy"\n content="{POLICY}" />'
    (folder / "index.html").write_text(f"<!doctype html>{meta}")
    (folder / "sw.js").write_text("const site=JSON.parse(`@edge-style-site@`)")
    (folder / "assets" / "index-1.js").write_text("1")
    (folder / "engine" / "ort-1.wasm.gz").write_bytes(b"\x1f\x8b")
    (folder / "sample.jpg").write_bytes(PHOTO.read_bytes())
    return folder


def site_of(page: Path, *names: str) -> Site:
    return assemble(choose_models([str(MODELS / name) for name in names]), offline=True, page=page)


def styles_of(site: Site) -> list[dict[str, Any]]:
    styles: list[dict[str, Any]] = json.loads(site.read("styles.json"))["styles"]
    return styles


def kept_by(site: Site) -> dict[str, Any]:
    """What was written into the service worker."""
    found = re.fullmatch(r"const site=JSON\.parse\((.*)\)", site.read("sw.js").decode())
    assert found
    kept: dict[str, Any] = json.loads(json.loads(found[1]))
    return kept


def test_one_entry_per_style(page: Path) -> None:
    site = site_of(page, "negative.onnx", "many.onnx")
    styles = styles_of(site)
    assert [style["id"] for style in styles] == ["negative", "many-1", "many-2", "many-3"]
    assert [style["index"] for style in styles] == [None, 0, 1, 2]
    assert [style["siblings"] for style in styles] == [1, 3, 3, 3]
    assert styles[2]["painting"] == "negative"
    for style in styles:
        assert site.read(style["thumbnail"]).startswith(b"\xff\xd8")
        (file,) = style["files"]
        assert len(site.read(file["url"])) == file["size_bytes"]
    # Styles that look different have pictures that are different.
    assert len({style["thumbnail"] for style in styles}) >= 3


def test_a_style_brings_all_its_files(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "night.onnx").write_bytes((MODELS / "negative16.onnx").read_bytes())
    (folder / "night.int8.onnx").write_bytes(
        (MODELS / "negative.onnx").read_bytes().replace(b"fp32", b"int8")
    )
    monkeypatch.chdir(tmp_path)
    (style,) = styles_of(assemble(choose_models(["night"]), offline=True, page=page))
    assert {file["precision"] for file in style["files"]} == {"fp16", "int8"}
    # All that are installed: those here and the shipped ones.
    ids = [style["id"] for style in styles_of(assemble(choose_models([]), offline=True, page=page))]
    assert {"night", "starry"} <= set(ids)
    # The network that knows them all would show each a second time, unless it is asked for.
    assert not [style for style in ids if style.startswith("styles-")]
    many = styles_of(assemble(choose_models(["styles"]), offline=True, page=page))
    assert len(many) == 8
    assert {file["precision"] for file in many[0]["files"]} == {"fp16", "int8"}


def test_a_network_for_any_style_comes_with_what_reads_styles(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_of(page, "negative.onnx", "any.onnx")
    manifest = json.loads(site.read("styles.json"))
    assert [style["id"] for style in manifest["styles"]] == ["negative"]
    assert site.styles == 1
    for kind, name in (("files", "any"), ("encoders", "any.encoder")):
        (file,) = manifest["any_style"][kind]
        assert site.read(file["url"]) == (MODELS / f"{name}.onnx").read_bytes()
    assert json.loads(site_of(page, "negative.onnx").read("styles.json"))["any_style"] is None
    # Of those that are installed, too, and of two the first.
    folder = tmp_path / "exported"
    folder.mkdir()
    for name in ("any", "mine"):
        for part in ("", ".encoder"):
            data = (MODELS / f"any{part}.onnx").read_bytes()
            (folder / f"{name}{part}.onnx").write_bytes(data)
    (folder / "torn.onnx").write_bytes((MODELS / "torn.onnx").read_bytes())
    monkeypatch.chdir(tmp_path)
    models = {model.name: model for model in choose_models([])}
    # One's own stands before the shipped one of that name, whose int8 file is of another training.
    assert models["any"].files == {"fp32": Path("exported/any.onnx")}
    assert not {"mine", "torn", "any.encoder"} & set(models)
    with pytest.raises(UsageError, match="any and mine are both for any style"):
        choose_models(["any", "mine", "starry"])
    with pytest.raises(UsageError, match="no style of its own to begin with"):
        choose_models(["any"])
    monkeypatch.setattr("edge_style.catalog.style_folders", lambda: (folder,))
    with pytest.raises(UsageError, match="no style of its own to begin with"):
        choose_models([])
    (folder / "plain.onnx").write_bytes((MODELS / "negative.onnx").read_bytes())
    assert [model.name for model in choose_models([])] == ["any", "plain"]
    # Files of one network in two precisions have to be of one training.
    int8 = (MODELS / "any.onnx").read_bytes().replace(b"fp32", b"int8")
    (folder / "any.int8.onnx").write_bytes(int8)
    assert set(choose_models(["any", "plain"])[0].files) == {"fp32", "int8"}
    (folder / "any.int8.onnx").write_bytes(int8.replace(b"a" * 64, b"b" * 64))
    with pytest.raises(ModelError, match="are of two trainings"):
        choose_models(["any", "plain"])


def test_models_of_one_name_stay_apart(page: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.onnx").write_bytes((MODELS / "negative.onnx").read_bytes())
    names = [str(tmp_path / name / "same.onnx") for name in ("a", "b")]
    site = assemble(choose_models(names), offline=True, page=page)
    assert [style["id"] for style in styles_of(site)] == ["same", "same-2"]


def test_addresses_need_no_quoting(page: Path, tmp_path: Path) -> None:
    path = tmp_path / "50%25 #1 étude.onnx"
    path.write_bytes((MODELS / "negative.onnx").read_bytes())
    site = assemble(choose_models([str(path)]), offline=True, page=page)
    (style,) = styles_of(site)
    assert style["id"] == "50%25 #1 étude"
    for address in (style["thumbnail"], style["files"][0]["url"]):
        assert quote(address) == address
        assert site.read(address)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("foreign_255.onnx", "edge-style export"),
        ("encoder.onnx", "reads paintings"),
        ("torn.onnx", "needs its style encoder.*of the same training"),
    ],
)
def test_models_that_the_page_does_not_run(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        choose_models([str(MODELS / name)])
    with pytest.raises(ModelNotFoundError):
        choose_models(["starrry"])


def test_the_service_worker_keeps_what_the_page_needs_to_start(page: Path) -> None:
    site = site_of(page, "negative.onnx")
    kept = kept_by(site)
    assert {"./", "assets/index-1.js", "sample.jpg", "styles.json"} <= set(kept["files"])
    checksum = hashlib.sha256(site.read("styles.json")).digest()
    assert kept["files"]["styles.json"] == "sha256-" + base64.b64encode(checksum).decode()
    assert not [file for file in kept["files"] if file.endswith((".onnx", ".gz", "sw.js", ".html"))]
    # Whatever changes, it is another version; if nothing does, it is the same.
    versions = {kept["version"], kept_by(site_of(page, "negative.onnx"))["version"]}
    assert len(versions) == 1
    versions.add(kept_by(site_of(page, "negative16.onnx"))["version"])
    (page / "index.html").write_text((page / "index.html").read_text() + "<p>")
    versions.add(kept_by(site_of(page, "negative.onnx"))["version"])
    assert len(versions) == 3


def test_a_folder_is_brought_up_to_date(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "www" / "site"
    write_site(site_of(page, "negative.onnx"), folder)
    (old,) = (folder / "models").iterdir()
    (folder / "CNAME").write_text("example.org")
    (folder / "models" / "keep").mkdir()
    written = write_site(site_of(page, "negative16.onnx"), folder)
    assert not old.exists()
    assert (folder / "CNAME").is_file()
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "CNAME"]
    assert written == sum(path.stat().st_size for path in files)


def test_the_worker_is_written_after_all_that_it_names(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def write(target: Path, content: bytes) -> int:
        written.append(target.name)
        return len(content)

    monkeypatch.setattr("edge_style.web.site._write", write)
    site = site_of(page, "negative.onnx")
    write_site(site, tmp_path / "www")
    assert sorted(written) == sorted(Path(address).name for address in site.files)
    assert written[-1] == "sw.js"


def test_a_folder_of_other_things_is_left_alone(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        write_site(site_of(page, "negative.onnx"), folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_another_site_with_a_worker_is_left_alone(page: Path, tmp_path: Path) -> None:
    files = {"sw.js": "self.skipWaiting()", "index.html": "mine", "assets/logo.png": "mine"}
    (tmp_path / "www" / "assets").mkdir(parents=True)
    for name, content in files.items():
        (tmp_path / "www" / name).write_text(content)
    with pytest.raises(UsageError, match="holds no site of ours"):
        write_site(site_of(page, "negative.onnx"), tmp_path / "www")
    for name, content in files.items():
        assert (tmp_path / "www" / name).read_text() == content


def test_a_page_that_is_not_built(
    cli: Callable[..., CliResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PageNotBuiltError):
        assemble([], offline=False, page=tmp_path)
    monkeypatch.setattr("edge_style.web.site.PAGE", tmp_path / "nowhere")
    assert_error(cli("web"), "make web", "Node.js")
    assert_error(cli("web", "build", "out"), "make web")
    assert not (tmp_path / "out").exists()
    assert PAGE.name == "page"


def test_the_command(
    cli: Callable[..., CliResult], page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_style.web.site.PAGE", page)
    done = cli("web", "build", "out", "--model", MODELS / "many.onnx", "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert report["styles"] == 3
    assert report["files"] == sum(path.is_file() for path in (tmp_path / "out").rglob("*"))
    assert json.loads((tmp_path / "out" / "styles.json").read_bytes())["offline"] is True
    assert_error(cli("web", "--model", "nothing"), "no model 'nothing'")
    assert_error(cli("web", "--model", "a,,b"), "expected --model NAME")
    with WebServer(site_of(page, "negative.onnx"), 0) as other:
        port = urlsplit(other.url).port
        assert_error(cli("web", "--model", MODELS / "many.onnx", "--port", port), "--port")


@pytest.fixture
def connection(page: Path) -> Iterator[http.client.HTTPConnection]:
    with WebServer(site_of(page, "negative.onnx"), 0) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        address = urlsplit(server.url)
        with contextlib.closing(
            http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
        ) as opened:
            yield opened
        server.stop()
        thread.join()


def test_the_server_isolates_the_page(connection: http.client.HTTPConnection, page: Path) -> None:
    for address, kind in (
        ("/", "text/html"),
        ("/?style=negative", "text/html"),
        ("/assets/index-1.js", "text/javascript"),
        ("/engine/ort-1.wasm.gz", "application/gzip"),
    ):
        connection.request("GET", address)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(kind)
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert answer.headers["Content-Security-Policy"] == f"{POLICY}; frame-ancestors 'none'"
        # A file that browsers unpack by themselves would not be what the page expects.
        assert answer.headers["Content-Encoding"] is None
        assert int(answer.headers["Content-Length"]) == len(body)
    connection.request("HEAD", "/sample.jpg")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    assert int(answer.headers["Content-Length"]) == (page / "sample.jpg").stat().st_size


@pytest.mark.parametrize(
    "address",
    ["/nothing", "/../page/index.html", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/assets/"],
)
def test_the_server_gives_only_the_site(
    connection: http.client.HTTPConnection, address: str
) -> None:
    connection.request("GET", address)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (404, b"not found\n")
