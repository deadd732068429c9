/** A visitor's own picture becomes a style: what is seen is painted as the picture is. */

import type { AnyStyle, Style } from "../shared/manifest.ts";
import { decodePicture } from "../sources/picture.ts";
import { audition } from "./audition.ts";

let opened = 0;

/**
 * Let the worker read a picture's style, and paint a thumbnail with it.
 *
 * @throws SourceError the browser cannot read the picture.
 * @throws Error its style cannot be read, or does not paint; the message says why.
 */
export async function openStyle(file: File, network: AnyStyle, worker: Worker): Promise<Style> {
  const picture = await decodePicture(file);
  opened += 1;
  const style: Style = {
    id: `picture-${opened}`,
    painting: file.name.replace(/\.[^.]+$/, "") || file.name,
    artist: "",
    year: "",
    licence: network.licence,
    thumbnail: "",
    files: network.files,
    index: null,
    siblings: 1,
    code: null,
  };
  try {
    const [heard] = await audition(worker, [style], { encoders: network.encoders, picture });
    return heard ?? style;
  } finally {
    picture.close(); // if it was not handed over
  }
}
