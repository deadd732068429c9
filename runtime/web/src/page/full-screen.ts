/** The picture over the whole screen; over the whole page where a phone knows no more. */

import { element } from "./dom.ts";

const CLASS = "fills-page";

/** Ways out where the browser has none of its own: a button on the picture, and Escape. */
export function watchFullScreen(stage: HTMLElement): void {
  const leave = (): void => {
    stage.classList.remove(CLASS);
  };
  element("leave-full", HTMLButtonElement).addEventListener("click", leave);
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") leave();
  });
}

export async function toggleFullScreen(stage: HTMLElement): Promise<void> {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
  } else if (document.fullscreenEnabled) {
    await stage.requestFullscreen();
  } else {
    stage.classList.toggle(CLASS);
  }
}
