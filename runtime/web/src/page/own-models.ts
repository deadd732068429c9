/** A visitor's own `.onnx` file becomes entries of the gallery, once it has shown that it paints. */

import type { FromWorker, StyleRequest, ToWorker } from "../shared/messages.ts";
import { describeModel, ModelFileError } from "../shared/onnx-metadata.ts";
import type { Style } from "../shared/manifest.ts";
import { SAMPLE_URL } from "../sources/sample.ts";

const LARGEST_BYTES = 300e6;

/**
 * Read a file, and let the worker paint its thumbnails.
 *
 * @returns its styles, in order.
 * @throws ModelFileError the file cannot be used; the message says why, and what to do.
 */
export async function openModel(file: File, worker: Worker): Promise<Style[]> {
  if (file.size > LARGEST_BYTES) {
    throw new ModelFileError(`${file.name} is too large for a page: 300 MB at most.`);
  }
  const styles = stylesOf(file, new Uint8Array(await file.arrayBuffer()));
  try {
    const thumbnails = await audition(worker, styles.map(requestOf));
    return styles.map((style, number) => {
      const thumbnail = thumbnails[number];
      return thumbnail ? { ...style, thumbnail: URL.createObjectURL(thumbnail) } : style;
    });
  } catch (error) {
    for (const { url } of styles.flatMap((style) => style.files)) URL.revokeObjectURL(url);
    const reason = error instanceof Error ? error.message : String(error);
    throw new ModelFileError(`${file.name} cannot be used: ${reason}`);
  }
}

/** What the worker has to know of a style. */
export function requestOf({ id, files, index, siblings }: Style): StyleRequest {
  return { id, files, index, siblings };
}

function stylesOf(file: File, data: Uint8Array): Style[] {
  const description = describeModel(data, file.name);
  const url = URL.createObjectURL(file);
  const files = [{ url, sizeBytes: file.size, precision: description.precision }];
  const { artist, year, licence } = description;
  const common = { artist, year, licence, thumbnail: "", files };
  if (description.styles.length === 0) {
    const painting = description.painting || description.name;
    return [{ ...common, id: url, painting, index: null, siblings: 1 }];
  }
  return description.styles.map((painting, index) => ({
    ...common,
    id: `${url}#${index}`,
    painting,
    index,
    siblings: description.styles.length,
  }));
}

/** @returns JPEG files, one per style. @throws Error the network does not paint. */
async function audition(worker: Worker, styles: readonly StyleRequest[]): Promise<readonly Blob[]> {
  const sample = await createImageBitmap(await (await fetch(SAMPLE_URL)).blob());
  const id = styles[0]?.id;
  return new Promise((resolve, reject) => {
    const hear = ({ data }: MessageEvent<FromWorker>): void => {
      if ((data.kind !== "auditioned" && data.kind !== "refused") || data.id !== id) return;
      worker.removeEventListener("message", hear);
      if (data.kind === "auditioned") resolve(data.thumbnails);
      else reject(new Error(data.reason));
    };
    worker.addEventListener("message", hear);
    const message: ToWorker = { kind: "audition", styles, sample };
    worker.postMessage(message, [sample]);
  });
}
