/** Which part of a frame is shown. */

import type { Size } from "../shared/messages.ts";

export interface Crop extends Size {
  readonly x: number;
  readonly y: number;
}

/** The largest part in the middle of a frame that has the shape of `size`: what hangs over is cut. */
export function coverCrop(frame: Size, size: Size): Crop {
  const scale = Math.min(frame.width / size.width, frame.height / size.height);
  const width = size.width * scale;
  const height = size.height * scale;
  return { x: (frame.width - width) / 2, y: (frame.height - height) / 2, width, height };
}
