/** A `<video>` as a source: what cameras and clips have in common. */

import type { OnFrame } from "./source.ts";

const PATIENCE_MS = 10_000;

/** A video element that plays out of sight; some browsers stop one that is not in the page. */
export function hiddenVideo(): HTMLVideoElement {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.className = "out-of-sight";
  video.setAttribute("aria-hidden", "true");
  video.tabIndex = -1;
  document.body.append(video);
  return video;
}

/** Call back for every new frame until `stop`, the returned function, is called. */
export function watchFrames(video: HTMLVideoElement, onFrame: OnFrame): () => void {
  let isStopped = false;
  if ("requestVideoFrameCallback" in video) {
    const next = (nowMs: number, frame: VideoFrameCallbackMetadata): void => {
      if (isStopped) return;
      video.requestVideoFrameCallback(next);
      onFrame(frame.captureTime ?? nowMs);
    };
    video.requestVideoFrameCallback(next);
  } else {
    let seenS = -1;
    const next = (): void => {
      if (isStopped) return;
      requestAnimationFrame(next);
      if (fallback.currentTime === seenS) return;
      seenS = fallback.currentTime;
      onFrame(performance.now());
    };
    const fallback: HTMLVideoElement = video;
    requestAnimationFrame(next);
  }
  return () => {
    isStopped = true;
  };
}

/** The frame that is being shown: a reference to it where the browser can, else a bitmap. */
export async function grabFrame(video: HTMLVideoElement): Promise<VideoFrame | ImageBitmap> {
  if (typeof VideoFrame === "function") {
    try {
      return new VideoFrame(video);
    } catch {
      // Some browsers refuse it for some sources, or between two frames.
    }
  }
  return createImageBitmap(video);
}

/** Wait until the first frame is there. Rejects if there is none, or none comes. */
export async function startPlaying(video: HTMLVideoElement): Promise<void> {
  const loaded = new Promise<boolean>((resolve) => {
    for (const [event, isThere] of [
      ["loadeddata", true],
      ["error", false],
    ] as const) {
      video.addEventListener(
        event,
        () => {
          resolve(isThere);
        },
        { once: true },
      );
    }
    setTimeout(resolve, PATIENCE_MS, false);
  });
  await video.play();
  // What is there and has no size is sound alone, or a codec that this browser lacks.
  const isThere = video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA || (await loaded);
  if (!isThere || video.videoWidth === 0) throw new Error("no frames");
}
