/** A visitor's own `.onnx` file becomes entries of the gallery. */

import { describeModel, ModelFileError } from "../shared/onnx-metadata.ts";
import type { Style } from "../shared/manifest.ts";

const LARGEST_BYTES = 300e6;

/** @throws ModelFileError the file cannot be used; the message says what to do. */
export async function stylesOfFile(file: File): Promise<Style[]> {
  if (file.size > LARGEST_BYTES) {
    throw new ModelFileError(`${file.name} is too large for a page: 300 MB at most.`);
  }
  const description = describeModel(new Uint8Array(await file.arrayBuffer()), file.name);
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
