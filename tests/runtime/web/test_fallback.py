"""From WebGPU to WebAssembly: no device, one that fails, one that is lost."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import MODELS, PHOTO, Visit, difference, open_page, served

# Goes before the worker's script. The adapter is the one that the processor imitates, and says that
# it is a real one; `lose` on the channel takes its device away, as a driver's crash does.
DEVICE = """
{
  const real = navigator.gpu?.requestAdapter.bind(navigator.gpu);
  const requestAdapter = async (options) => {
    const adapter = await real?.(options);
    if (!adapter) return null;
    Object.defineProperty(adapter, "info", { value: { isFallbackAdapter: false } });
    const requestDevice = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async (wanted) => {
      const device = await requestDevice(wanted);
      new BroadcastChannel("test").onmessage = () => device.destroy();
      return device;
    };
    return adapter;
  };
  Object.defineProperty(navigator, "gpu", {
    value: Object.create(navigator.gpu ?? null, { requestAdapter: { value: requestAdapter } }),
  });
}
"""
# An adapter that gives no device.
NO_DEVICE = """
Object.defineProperty(navigator, "gpu", {
  value: {
    requestAdapter: async () => ({
      features: new Set(["shader-f16"]),
      limits: {},
      info: { isFallbackAdapter: false },
      requestDevice: async () => { throw new Error("the driver is out of order"); },
    }),
    getPreferredCanvasFormat: () => "bgra8unorm",
  },
});
"""
IMITATED = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")

pytestmark = pytest.mark.usefixtures("built_page")


@pytest.fixture(scope="module")
def url(built_page: object) -> Iterator[str]:
    """A page with two networks that WebGPU and WebAssembly take, left to choose."""
    names = f"{MODELS / 'negative.onnx'},{MODELS / 'many.onnx'}"
    with served("--model", names) as address:
        yield f"{address}?side=64"


def visit_with(browser: Any, url: str, before: str) -> Visit:
    """A visitor whose worker runs something else first."""

    def with_more(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=before + answer.text())

    context = browser.new_context()
    context.route("**/assets/worker-*.js", with_more)
    return open_page(context, url)


def paints_on_wasm(visitor: Visit) -> str:
    """See it paint a picture in WebAssembly, and another style; returns why it does."""
    visitor.wait("d.backend === 'wasm'")
    visitor.choose("files", PHOTO)
    visitor.wait("d.source === 'picture'")
    visitor.settle()
    visitor.set_range("strength", 0)
    visitor.settle()
    frame = visitor.snapshot()
    visitor.set_range("strength", 100)
    visitor.settle()
    assert difference(visitor.snapshot(), 255 - frame) <= 1
    visitor.page.keyboard.press("2")
    visitor.wait("d.style === 'many-1'")
    assert visitor.data("backend") == "wasm"
    assert visitor.page.locator("#notice").is_hidden()
    return str(visitor.page.locator("#stage").get_attribute("title"))


def test_no_webgpu(launch: Callable[..., Any], url: str) -> None:
    with launch() as browser:
        why = paints_on_wasm(open_page(browser.new_context(), url))
    assert why == "this browser has no WebGPU here"


def test_a_device_that_cannot_be_had(launch: Callable[..., Any], url: str) -> None:
    with launch() as browser:
        why = paints_on_wasm(visit_with(browser, url, NO_DEVICE))
    assert why.startswith("WebGPU was left: ")


def need_webgpu(visitor: Visit) -> None:
    if not visitor.page.evaluate("navigator.gpu?.requestAdapter().then((found) => found !== null)"):
        pytest.skip("this Chromium has no WebGPU that the processor imitates")


def test_a_device_that_is_imitated(launch: Callable[..., Any], url: str) -> None:
    with launch(*IMITATED) as browser:
        visitor = open_page(browser.new_context(), url)
        need_webgpu(visitor)
        why = paints_on_wasm(visitor)
    assert why == "WebGPU is only imitated here, by the processor"


def test_a_device_that_is_lost(launch: Callable[..., Any], url: str) -> None:
    with launch(*IMITATED) as browser:
        visitor = visit_with(browser, url, DEVICE)
        need_webgpu(visitor)
        visitor.wait("d.backend === 'webgpu'")
        visitor.wait_for_frames(2)
        visitor.page.evaluate("new BroadcastChannel('test').postMessage('lose')")
        why = paints_on_wasm(visitor)
    assert why.startswith("WebGPU was left: ")
