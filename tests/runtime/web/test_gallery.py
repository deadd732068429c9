"""As many styles as there are keys for them, on a desktop and on a phone."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import MODELS, Visit, served

DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
# Whether all of a style is to be seen in the strip, and the strip on the screen.
IN_SIGHT = """() => {
  const style = document.querySelector("#gallery input:checked").parentElement;
  const [inner, outer] = [style, document.getElementById("gallery")].map((element) =>
    element.getBoundingClientRect());
  return inner.left >= outer.left && inner.right <= outer.right
    && inner.top >= 0 && inner.bottom <= innerHeight;
}"""

pytestmark = pytest.mark.usefixtures("built_page")


@pytest.fixture(scope="module")
def url(built_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page with nine styles."""
    folder = tmp_path_factory.mktemp("nine")
    shutil.copy(MODELS / "negative.onnx", folder / "last.onnx")
    shutil.copy(MODELS / "many.onnx", folder / "more.onnx")
    paths = [MODELS / "negative.onnx", MODELS / "many.onnx", MODELS / "negative16.onnx"]
    names = [*map(str, paths), str(folder / "more.onnx"), str(folder / "last.onnx")]
    with served("--model", ",".join(names)) as address:
        yield f"{address}?backend=wasm&side=64"


def test_a_title_may_be_as_wide_as_the_picture(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit(url, **DEVICES["phone"])
    visitor.wait_for_frames(1)
    # At once: the title of the first style, which is said now, is taken away after a while.
    box = visitor.page.evaluate(
        f"const status = document.getElementById('status'); status.textContent = '{'long ' * 8}';"
        "status.getBoundingClientRect().toJSON()"
    )
    assert box["width"] > 390 / 2
    assert box["height"] < 40, "more than one line"


def test_forced_colours_show_what_is_chosen(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit(url, forced_colors="active")
    visitor.wait_for_frames(1)

    def look(one: Any) -> tuple[str, str]:
        style = "(found) => getComputedStyle(found)"
        return one.evaluate(f"{style}.backgroundColor"), one.evaluate(f"{style}.borderTopColor")

    pressed, other = (look(visitor.page.locator(name)) for name in ("#split", "#mirror"))
    assert pressed[0] != other[0]
    chosen, other = (look(visitor.page.locator("label.style").nth(number)) for number in (0, 1))
    assert chosen[1] != other[1]


@pytest.mark.parametrize("device", DEVICES)
def test_nine_styles(visit: Callable[..., Visit], url: str, device: str) -> None:
    visitor = visit(url, reduced_motion="reduce", **DEVICES[device])
    visitor.wait_for_frames(1)
    page = visitor.page
    ids = page.locator("#gallery input").evaluate_all("found => found.map(({ value }) => value)")
    assert len(ids) == 9
    for key in "192837465":
        page.keyboard.press(key)
        visitor.wait(f"d.style === '{ids[int(key) - 1]}'")
        assert page.evaluate(IN_SIGHT), f"{device}: style {key} is cut off"
    # The strip moves, the page does not.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("scrollX === 0 && scrollY === 0")
