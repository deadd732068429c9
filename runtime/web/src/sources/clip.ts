/** A clip that the visitor dropped: it plays in a loop, without sound. */

import { type OnFrame, type Source, SourceError } from "./source.ts";
import { grabFrame, hiddenVideo, startPlaying, watchFrames } from "./video-element.ts";

export class ClipSource implements Source {
  readonly kind = "clip";
  readonly isStill = false;
  readonly isSelfie = false;
  readonly #video: HTMLVideoElement;
  readonly #stopWatching: () => void;

  private constructor(video: HTMLVideoElement, onFrame: OnFrame) {
    this.#video = video;
    this.#stopWatching = watchFrames(video, onFrame);
  }

  /** @throws SourceError the browser cannot play it. */
  static async open(file: Blob, onFrame: OnFrame): Promise<ClipSource> {
    const video = hiddenVideo();
    video.loop = true;
    video.src = URL.createObjectURL(file);
    try {
      await startPlaying(video);
    } catch {
      discard(video);
      throw new SourceError("unreadable-clip");
    }
    return new ClipSource(video, onFrame);
  }

  get size(): { width: number; height: number } {
    return { width: this.#video.videoWidth, height: this.#video.videoHeight };
  }

  grab(): Promise<VideoFrame | ImageBitmap> {
    return grabFrame(this.#video);
  }

  close(): void {
    this.#stopWatching();
    discard(this.#video);
  }
}

function discard(video: HTMLVideoElement): void {
  URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.load(); // lets go of the file
  video.remove();
}
