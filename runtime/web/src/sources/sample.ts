/**
 * The clip before the camera is allowed: the view glides across a photo.
 *
 * Made here of one small photo, and not a video file, because that plays in every browser: phones
 * in power-saving mode refuse to start a video by themselves, and no codec is known to all.
 */

import { panView } from "./pan-path.ts";
import { type OnFrame, type Source, SourceError } from "./source.ts";

/** The photo, which the build puts beside the page. */
const SAMPLE_URL = "sample.jpg";

const SIZE = { width: 640, height: 480 };
const ROUND_MS = 8000;
const FRAME_MS = 1000 / 30;

let kept: ImageBitmap | null = null;

/**
 * The photo, which is kept: a camera may go when the connection has gone, too.
 *
 * @throws SourceError it cannot be had.
 */
export async function samplePhoto(): Promise<ImageBitmap> {
  try {
    // What a host answers that has no such file is no picture either.
    kept ??= await createImageBitmap(await (await fetch(SAMPLE_URL)).blob());
    return kept;
  } catch {
    throw new SourceError("no-sample");
  }
}

export class SampleSource implements Source {
  readonly kind = "sample";
  readonly size = SIZE;
  readonly isSelfie = false;
  /** Where the visitor asked for less motion, the view stands still. */
  readonly isStill: boolean;
  readonly #photo: ImageBitmap;
  readonly #startMs = performance.now();
  #timer = 0;

  private constructor(photo: ImageBitmap, isStill: boolean, onFrame: OnFrame) {
    this.#photo = photo;
    this.isStill = isStill;
    if (isStill) return;
    this.#timer = window.setInterval(() => {
      if (!document.hidden) onFrame(performance.now());
    }, FRAME_MS);
  }

  /** @throws SourceError the photo cannot be had. */
  static async open(onFrame: OnFrame): Promise<SampleSource> {
    const photo = await samplePhoto();
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    return new SampleSource(photo, isStill, onFrame);
  }

  grab(): Promise<ImageBitmap> {
    const turn = this.isStill ? 0.2 : (performance.now() - this.#startMs) / ROUND_MS;
    const { x, y, width, height } = panView(turn % 1, this.#photo, SIZE);
    const canvas = new OffscreenCanvas(SIZE.width, SIZE.height);
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) return createImageBitmap(this.#photo, x, y, width, height);
    context.drawImage(this.#photo, x, y, width, height, 0, 0, SIZE.width, SIZE.height);
    return Promise.resolve(canvas.transferToImageBitmap());
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
