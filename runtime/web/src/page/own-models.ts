/** A visitor's own `.onnx` file becomes entries of the gallery, once it has shown that it paints. */

import { describeModel, ModelFileError } from "../shared/onnx-metadata.ts";
import type { Style } from "../shared/manifest.ts";
import { audition } from "./audition.ts";
import { reasonOf } from "./words.ts";

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
    return await audition(worker, styles);
  } catch (error) {
    for (const { url } of styles.flatMap((style) => style.files)) URL.revokeObjectURL(url);
    throw new ModelFileError(`${file.name} cannot be used: ${reasonOf(error)}`);
  }
}

function stylesOf(file: File, data: Uint8Array): Style[] {
  const description = describeModel(data, file.name);
  const url = URL.createObjectURL(file);
  const files = [{ url, sizeBytes: file.size, precision: description.precision }];
  const { artist, year, licence } = description;
  const common = { artist, year, licence, thumbnail: "", files, code: null };
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
