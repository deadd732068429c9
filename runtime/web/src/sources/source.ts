/** Where frames come from. */

export type SourceKind = "sample" | "camera" | "clip" | "picture";

export interface Source {
  readonly kind: SourceKind;
  /** Size of its frames in pixels; cameras may change it, when a phone is turned. */
  readonly size: { readonly width: number; readonly height: number };
  /** Whether people expect to see themselves as in a mirror. */
  readonly isSelfie: boolean;
  /** Whether it is one frame that never changes. */
  readonly isStill: boolean;
  /** The newest frame. Who asks for it closes it, or hands it over. */
  grab(): Promise<VideoFrame | ImageBitmap>;
  close(): void;
}

/** Told that there is a new frame, and when it was captured: `performance.now()`, in ms. */
export type OnFrame = (capturedMs: number) => void;

/** Told that a source ended by itself, because a camera was unplugged. */
export type OnEnd = () => void;

/** A source cannot be opened; `code` says why, `words.ts` says it to people. */
export class SourceError extends Error {
  readonly code: SourceProblem;

  constructor(code: SourceProblem) {
    super(code);
    this.code = code;
  }
}

export type SourceProblem =
  | "no-sample"
  | "no-camera"
  | "camera-refused"
  | "camera-busy"
  | "camera-lost"
  | "not-secure"
  | "not-supported"
  | "unreadable-picture"
  | "unreadable-clip";
