/** Before a visitor's own style is offered, the worker shows that it paints. */

import type { FromWorker, Reading, StyleRequest, ToWorker } from "../shared/messages.ts";
import type { Style } from "../shared/manifest.ts";
import { samplePhoto } from "../sources/sample.ts";

/**
 * Let the worker paint the thumbnails of styles, which are those of one file.
 *
 * @param reading where their code is to be read first; it is handed over.
 * @returns the styles with their thumbnails, and their code.
 * @throws Error the network does not paint.
 */
export async function audition(
  worker: Worker,
  styles: readonly Style[],
  reading: Reading | null = null,
): Promise<Style[]> {
  const sample = await createImageBitmap(await samplePhoto()); // a copy, to be handed over
  const id = styles[0]?.id;
  return new Promise((resolve, reject) => {
    const hear = ({ data }: MessageEvent<FromWorker>): void => {
      if ((data.kind !== "auditioned" && data.kind !== "refused") || data.id !== id) return;
      worker.removeEventListener("message", hear);
      if (data.kind === "refused") {
        reject(new Error(data.reason));
        return;
      }
      const { code, thumbnails } = data;
      resolve(
        styles.map((style, number) => {
          const picture = thumbnails[number];
          const thumbnail = picture ? URL.createObjectURL(picture) : style.thumbnail;
          return { ...style, thumbnail, code };
        }),
      );
    };
    worker.addEventListener("message", hear);
    const message: ToWorker = { kind: "audition", styles: styles.map(requestOf), sample, reading };
    worker.postMessage(message, reading ? [sample, reading.picture] : [sample]);
  });
}

/** What the worker has to know of a style. */
export function requestOf({ id, files, index, siblings, code }: Style): StyleRequest {
  return { id, files, index, siblings, code };
}
