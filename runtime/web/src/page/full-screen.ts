/** The picture over the whole screen; over the whole page where a phone knows no more. */

const CLASS = "fills-page";

export async function toggleFullScreen(stage: HTMLElement): Promise<void> {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
  } else if (document.fullscreenEnabled) {
    await stage.requestFullscreen();
  } else {
    stage.classList.toggle(CLASS);
  }
}
