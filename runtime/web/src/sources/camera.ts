/** A camera. */

import {
  type OnEnd,
  type OnFrame,
  type Source,
  SourceError,
  type SourceProblem,
} from "./source.ts";
import { grabFrame, hiddenVideo, startPlaying, watchFrames } from "./video-element.ts";

/** What cameras are asked for; they answer with the nearest they have. */
const WANTED = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

const PROBLEMS: Readonly<Record<string, SourceProblem>> = {
  NotAllowedError: "camera-refused",
  SecurityError: "camera-refused",
  NotFoundError: "no-camera",
  OverconstrainedError: "no-camera",
  NotReadableError: "camera-busy",
  AbortError: "camera-busy",
};

/** A camera that is there to choose. */
export interface CameraChoice {
  readonly id: string;
  readonly label: string;
}

export class CameraSource implements Source {
  readonly kind = "camera";
  readonly isStill = false;
  readonly isSelfie: boolean;
  /** Which one it is, as in `listCameras`. */
  readonly id: string;
  readonly #video: HTMLVideoElement;
  readonly #stream: MediaStream;
  readonly #stopWatching: () => void;

  private constructor(
    video: HTMLVideoElement,
    stream: MediaStream,
    track: MediaStreamTrack,
    onFrame: OnFrame,
  ) {
    this.#video = video;
    this.#stream = stream;
    const settings = track.getSettings();
    this.id = settings.deviceId ?? "";
    this.isSelfie = settings.facingMode !== "environment";
    this.#stopWatching = watchFrames(video, onFrame);
  }

  /**
   * Ask for a camera, and the visitor for permission.
   *
   * @param id which one; empty for the one that faces the visitor.
   * @throws SourceError there is none, or it may not be used.
   */
  static async open(id: string, onFrame: OnFrame, onEnd: OnEnd): Promise<CameraSource> {
    if (!isSecureContext) throw new SourceError("not-secure");
    // Types promise that it is there; old browsers do not have it.
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    if (!devices) throw new SourceError("not-supported");
    const which = id === "" ? { facingMode: "user" } : { deviceId: { exact: id } };
    let stream;
    try {
      stream = await devices.getUserMedia({ video: { ...WANTED, ...which }, audio: false });
    } catch (error) {
      const name = error instanceof DOMException ? error.name : "";
      throw new SourceError(PROBLEMS[name] ?? "no-camera");
    }
    const video = hiddenVideo();
    const [track] = stream.getVideoTracks();
    try {
      if (!track) throw new SourceError("no-camera");
      video.srcObject = stream;
      await startPlaying(video);
    } catch {
      stop(stream, video);
      throw new SourceError("camera-busy");
    }
    track.addEventListener("ended", onEnd, { once: true });
    return new CameraSource(video, stream, track, onFrame);
  }

  get size(): { width: number; height: number } {
    return { width: this.#video.videoWidth, height: this.#video.videoHeight };
  }

  grab(): Promise<VideoFrame | ImageBitmap> {
    return grabFrame(this.#video);
  }

  close(): void {
    this.#stopWatching();
    stop(this.#stream, this.#video);
  }
}

/** The cameras there are; names are known once the visitor has allowed one. */
export async function listCameras(): Promise<CameraChoice[]> {
  const devices = (navigator.mediaDevices as MediaDevices | undefined)?.enumerateDevices();
  const cameras = ((await devices) ?? []).filter(({ kind }) => kind === "videoinput");
  return cameras.map(({ deviceId, label }, number) => ({
    id: deviceId,
    label: label === "" ? `Camera ${number + 1}` : label,
  }));
}

function stop(stream: MediaStream, video: HTMLVideoElement): void {
  for (const track of stream.getTracks()) track.stop();
  video.srcObject = null;
  video.remove();
}
