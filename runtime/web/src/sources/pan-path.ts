/** The way of a view across a photo, as a hand-held camera would go. */

/** The view spans this share of the photo, so that there is room to move, and breathes. */
const VIEW = 0.75;
const ZOOM = 0.08;

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * What is seen of a photo after a `turn` of the round, 0..1; the end leads into the start.
 *
 * The same path as `edge-style cam --source pan:PHOTO` takes.
 */
export function panView(
  turn: number,
  photo: { readonly width: number; readonly height: number },
  view: { readonly width: number; readonly height: number },
): Rectangle {
  const angle = 2 * Math.PI * turn;
  const scale =
    Math.min(photo.width / view.width, photo.height / view.height) *
    VIEW *
    (1 + ZOOM * Math.sin(angle));
  const width = scale * view.width;
  const height = scale * view.height;
  return {
    x: (photo.width - width) * (0.5 - 0.5 * Math.cos(angle)),
    y: (photo.height - height) * (0.5 - 0.4 * Math.sin(2 * angle)),
    width,
    height,
  };
}
