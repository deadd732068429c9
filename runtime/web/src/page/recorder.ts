/** Records the canvas to a file. */

/** The first that the browser can write; MP4 plays in more places. */
const FORMATS = [
  { type: "video/mp4;codecs=avc1.42E01F", suffix: "mp4" },
  { type: "video/webm;codecs=vp9", suffix: "webm" },
  { type: "video/webm;codecs=vp8", suffix: "webm" },
  { type: "video/webm", suffix: "webm" },
] as const;
const FPS = 30;
/** How often a picture that stands still is recorded again: browsers take what is drawn only. */
const REDRAW_MS = 100;
const BITS_PER_SECOND = 6_000_000;

export interface Recording {
  readonly blob: Blob;
  readonly suffix: string;
}

export class Recorder {
  readonly #recorder: MediaRecorder;
  readonly #suffix: string;
  readonly #parts: Blob[] = [];
  /** Until it is ended, a recording is nowhere but in the page. */
  readonly #askBeforeLeaving = (event: Event): void => {
    event.preventDefault();
  };
  /** Settled when nothing more is recorded: it was ended, or the browser's encoder gave up. */
  readonly ended: Promise<void>;

  /** Start recording. @throws Error the browser cannot. */
  constructor(canvas: HTMLCanvasElement) {
    const format =
      typeof MediaRecorder === "function"
        ? FORMATS.find(({ type }) => MediaRecorder.isTypeSupported(type))
        : undefined;
    if (!format) throw new Error("this browser cannot record");
    this.#suffix = format.suffix;
    this.#recorder = new MediaRecorder(canvas.captureStream(FPS), {
      mimeType: format.type,
      videoBitsPerSecond: BITS_PER_SECOND,
    });
    this.#recorder.addEventListener("dataavailable", ({ data }) => {
      if (data.size > 0) this.#parts.push(data);
    });
    const context = canvas.getContext("2d");
    // One point of the picture over itself makes it a new one.
    const redraw = (): void => context?.drawImage(canvas, 0, 0, 1, 1, 0, 0, 1, 1);
    const timer = setInterval(redraw, REDRAW_MS);
    this.ended = new Promise((resolve) => {
      this.#recorder.addEventListener(
        "stop",
        () => {
          clearInterval(timer);
          resolve();
        },
        { once: true },
      );
    });
    // In pieces, which the browser need not hold in memory as one.
    this.#recorder.start(1000);
    redraw();
    window.addEventListener("beforeunload", this.#askBeforeLeaving);
  }

  /** End it. @throws Error nothing was recorded. */
  async stop(): Promise<Recording> {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    await this.ended;
    window.removeEventListener("beforeunload", this.#askBeforeLeaving);
    for (const track of this.#recorder.stream.getTracks()) track.stop();
    if (this.#parts.length === 0) throw new Error("nothing was recorded");
    return { blob: new Blob(this.#parts, { type: this.#recorder.mimeType }), suffix: this.#suffix };
  }
}
