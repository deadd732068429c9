/** Between a canvas's pixels (red, green, blue, alpha) and a network's (red, green, blue). */

const OPAQUE = 0xff000000;

/** What shows through a picture with transparency, as `runtime/edge_style/images.py` has it. */
export function fillWhite(context: OffscreenCanvasRenderingContext2D): void {
  context.fillStyle = "white";
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
}

/** Drop alpha. `rgb` takes three bytes for four of `rgba`. */
export function packRgb(rgba: Uint8ClampedArray, rgb: Uint8Array): void {
  let from = 0;
  for (let to = 0; to < rgb.length; to += 3) {
    rgb[to] = rgba[from] ?? 0;
    rgb[to + 1] = rgba[from + 1] ?? 0;
    rgb[to + 2] = rgba[from + 2] ?? 0;
    from += 4;
  }
}

/** Add opaque alpha. Four bytes are written at once, in the order that all browsers' machines have. */
export function unpackRgb(rgb: Uint8Array, rgba: Uint8ClampedArray): void {
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.byteLength >> 2);
  let from = 0;
  for (let to = 0; to < pixels.length; to += 1) {
    pixels[to] =
      OPAQUE | ((rgb[from + 2] ?? 0) << 16) | ((rgb[from + 1] ?? 0) << 8) | (rgb[from] ?? 0);
    from += 3;
  }
}
