/** The canvases of the worker: the frame, the network's picture, and what is shown of both. */

import type { Size } from "../shared/messages.ts";
import type { View } from "../shared/view.ts";
import { coverCrop } from "./crop.ts";
import { fillWhite, packRgb, unpackRgb } from "./pixels.ts";

const EDGE_PX = 2;

type Context = OffscreenCanvasRenderingContext2D;

/** Holds one frame and what the network made of it. */
export class Easel {
  readonly #frame = context(true);
  readonly #painted = context(false);
  readonly #shown = context(false);
  #rgb = new Uint8Array(0);
  #pixels: ImageData | null = null;

  /** Size of the frame it holds; 0x0 before there is one. */
  get size(): Size {
    const { width, height } = this.#frame.canvas;
    return this.#rgb.length > 0 ? { width, height } : { width: 0, height: 0 };
  }

  /** Take a frame, scaled to cover `size`. The caller closes it. */
  take(frame: VideoFrame | ImageBitmap, size: Size): void {
    if (this.#pixels?.width !== size.width || this.#pixels.height !== size.height) {
      for (const target of [this.#frame, this.#painted, this.#shown]) {
        target.canvas.width = size.width;
        target.canvas.height = size.height;
      }
      this.#pixels = new ImageData(size.width, size.height);
      this.#rgb = new Uint8Array(size.width * size.height * 3);
      this.#frame.imageSmoothingQuality = "medium";
    }
    const whole =
      "displayWidth" in frame
        ? { width: frame.displayWidth, height: frame.displayHeight }
        : { width: frame.width, height: frame.height };
    const crop = coverCrop(whole, size);
    fillWhite(this.#frame);
    this.#frame.drawImage(
      frame,
      crop.x,
      crop.y,
      crop.width,
      crop.height,
      0,
      0,
      size.width,
      size.height,
    );
  }

  /** The frame as the network wants it: [H, W, 3], valid until the next call. */
  frameRgb(): Uint8Array {
    const { width, height } = this.#frame.canvas;
    packRgb(this.#frame.getImageData(0, 0, width, height).data, this.#rgb);
    return this.#rgb;
  }

  /** Keep what the network made of it, [H, W, 3]. */
  paint(rgb: Uint8Array): void {
    if (!this.#pixels) throw new Error("painted before a frame was taken");
    unpackRgb(rgb, this.#pixels.data);
    this.#painted.putImageData(this.#pixels, 0, 0);
  }

  /** What is to be seen, as a bitmap that can be handed over. */
  show(view: View): ImageBitmap {
    const target = this.#shown;
    const { width } = target.canvas;
    target.save();
    if (view.isMirrored) {
      target.translate(width, 0);
      target.scale(-1, 1);
    }
    target.drawImage(this.#painted.canvas, 0, 0);
    if (view.keepsColours) {
      // The hue and saturation of the frame with the luma of what is there.
      target.globalCompositeOperation = "color";
      target.drawImage(this.#frame.canvas, 0, 0);
      target.globalCompositeOperation = "source-over";
    }
    if (view.strength < 1) {
      target.globalAlpha = 1 - view.strength;
      target.drawImage(this.#frame.canvas, 0, 0);
      target.globalAlpha = 1;
    }
    target.restore();
    if (view.isSplit) this.#split(view);
    // The bitmap takes the canvas's picture with it, so nothing is copied.
    return target.canvas.transferToImageBitmap();
  }

  /** The frame left of the edge, and a white line along it. */
  #split(view: View): void {
    const target = this.#shown;
    const { width, height } = target.canvas;
    const column = Math.round(view.edge * width);
    target.save();
    target.beginPath();
    target.rect(0, 0, column, height);
    target.clip();
    if (view.isMirrored) {
      target.translate(width, 0);
      target.scale(-1, 1);
    }
    target.drawImage(this.#frame.canvas, 0, 0);
    target.restore();
    target.fillStyle = "white";
    target.fillRect(
      Math.min(Math.max(0, column - EDGE_PX / 2), width - EDGE_PX),
      0,
      EDGE_PX,
      height,
    );
  }
}

function context(isRead: boolean): Context {
  // A canvas whose pixels are read stays in memory, instead of coming back from the GPU each time.
  const made = new OffscreenCanvas(1, 1).getContext("2d", {
    alpha: false,
    willReadFrequently: isRead,
  });
  if (!made) throw new Error("this browser gives no canvas to a worker");
  return made;
}
