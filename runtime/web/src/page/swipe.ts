/** Fingers on the picture: a swipe changes the style, a drag moves the edge of the split view. */

const SWIPE_PX = 60;

export interface Touch {
  /** Whether a drag moves the edge. */
  readonly isSplit: () => boolean;
  readonly onSwipe: (direction: "next" | "previous") => void;
  /** Told the place in the picture, a share of its width. */
  readonly onDrag: (share: number) => void;
}

export function watchTouch(picture: HTMLCanvasElement, touch: Touch): void {
  let start: { readonly x: number; readonly y: number } | null = null;
  const drag = (event: PointerEvent): void => {
    // Bars beside the picture belong to the element.
    const { left, width, height } = picture.getBoundingClientRect();
    const shown = picture.width * Math.min(width / picture.width, height / picture.height);
    const share = (event.clientX - left - (width - shown) / 2) / shown;
    if (shown > 0) touch.onDrag(Math.min(1, Math.max(0, share)));
  };
  picture.addEventListener("pointerdown", (event) => {
    start = { x: event.clientX, y: event.clientY };
    picture.setPointerCapture(event.pointerId);
    if (touch.isSplit()) drag(event);
  });
  picture.addEventListener("pointermove", (event) => {
    if (start && touch.isSplit()) drag(event);
  });
  picture.addEventListener("pointerup", (event) => {
    if (start && !touch.isSplit()) {
      const across = event.clientX - start.x;
      const isAcross = Math.abs(across) > 2 * Math.abs(event.clientY - start.y);
      if (isAcross && Math.abs(across) >= SWIPE_PX) touch.onSwipe(across < 0 ? "next" : "previous");
    }
    start = null;
  });
  picture.addEventListener("pointercancel", () => {
    start = null;
  });
}
