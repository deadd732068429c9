/** A picture that the visitor dropped. */

import { type Source, SourceError } from "./source.ts";

export class PictureSource implements Source {
  readonly kind = "picture";
  readonly isStill = true;
  readonly isSelfie = false;
  readonly size: { width: number; height: number };
  readonly #picture: ImageBitmap;

  private constructor(picture: ImageBitmap) {
    this.#picture = picture;
    this.size = { width: picture.width, height: picture.height };
  }

  /** @throws SourceError the browser cannot read it. */
  static async open(file: Blob): Promise<PictureSource> {
    return new PictureSource(await decodePicture(file));
  }

  grab(): Promise<ImageBitmap> {
    return createImageBitmap(this.#picture);
  }

  close(): void {
    this.#picture.close();
  }
}

/** A picture upright, as its camera was held. @throws SourceError the browser cannot read it. */
export async function decodePicture(file: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new SourceError("unreadable-picture");
  }
}
