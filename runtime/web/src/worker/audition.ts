/** A visitor's own model shows what it can before it is offered: it paints its thumbnails. */

import type { Size, StyleRequest } from "../shared/messages.ts";
import { styleWeights } from "../shared/siblings.ts";
import { PLAIN_VIEW } from "../shared/view.ts";
import { Easel } from "./easel.ts";
import type { Fetched, Studio } from "./studio.ts";

// The sizes at which `edge-style web` paints and keeps the thumbnails of the site's own styles.
const PAINT_SIZE: Size = { width: 320, height: 240 };
const THUMBNAIL_SIZE: Size = { width: 160, height: 120 };
const QUALITY = 0.82;

/**
 * @param styles those of one file.
 * @param sample what to paint; it is closed.
 * @param fetched their file, where it was fetched before.
 * @param onProgress told the share of them that is painted.
 * @returns JPEG files, one per style.
 * @throws Error the file cannot be loaded or does not paint; nothing is kept that was not there.
 */
export async function audition(
  studio: Studio,
  styles: readonly StyleRequest[],
  sample: ImageBitmap,
  fetched: Fetched | null,
  onProgress: (share: number) => void,
): Promise<Blob[]> {
  const easel = new Easel();
  easel.take(sample, PAINT_SIZE);
  sample.close();
  const frame = easel.frameRgb();
  const thumbnails = [];
  for (const style of styles) {
    const isShared = studio.has(style);
    const network = await studio.open(style, fetched);
    try {
      easel.paint(await network.run(frame, PAINT_SIZE, styleWeights(style, 0)));
    } catch (error) {
      if (!isShared) await studio.forget(network);
      throw error;
    }
    thumbnails.push(await shrink(easel.show(PLAIN_VIEW)));
    onProgress(thumbnails.length / styles.length);
  }
  return thumbnails;
}

async function shrink(picture: ImageBitmap): Promise<Blob> {
  const { width, height } = THUMBNAIL_SIZE;
  const small = new OffscreenCanvas(width, height);
  const context = small.getContext("2d", { alpha: false });
  if (!context) throw new Error("this browser gives no canvas to a worker");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  picture.close();
  return small.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}
