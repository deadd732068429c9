/** What went wrong, in plain words, with a way on. */

import { SourceError, type SourceProblem } from "../sources/source.ts";

export interface Explanation {
  readonly text: string;
  /** Whether trying once more may help. */
  readonly canRetry: boolean;
}

const EXPLANATIONS: Readonly<Record<SourceProblem, Explanation>> = {
  "no-sample": {
    text:
      "The sample cannot be fetched: is the connection gone? Cameras, pictures and clips need " +
      "none.",
    canRetry: true,
  },
  "no-camera": {
    text: "There is no camera here. Connect one and try again, or open a picture or a clip.",
    canRetry: true,
  },
  "camera-refused": {
    text:
      "The camera is not allowed for this page. Allow it in the browser's settings for this " +
      "site, near the address, then try again. Or open a picture or a clip.",
    canRetry: true,
  },
  "camera-busy": {
    text: "The camera gives no picture: another program may be using it. Close that and try again.",
    canRetry: true,
  },
  "camera-lost": {
    text: "The camera is gone. Connect it and try again, or open a picture or a clip.",
    canRetry: true,
  },
  "not-secure": {
    text:
      "Browsers give the camera to secure pages only: open this page over https, or on the " +
      "machine that serves it. Pictures and clips work here too.",
    canRetry: false,
  },
  "not-supported": {
    text: "This browser gives pages no camera. Pictures and clips work here too.",
    canRetry: false,
  },
  "unreadable-picture": {
    text: "This picture cannot be read. JPEG, PNG and WebP can.",
    canRetry: false,
  },
  "unreadable-clip": {
    text: "This browser cannot play this clip. MP4 with H.264, or WebM, plays nearly everywhere.",
    canRetry: false,
  },
};

export function explain(problem: SourceProblem): Explanation {
  return EXPLANATIONS[problem];
}

/** What an error says to people. */
export function reasonOf(error: unknown): string {
  if (error instanceof SourceError) return explain(error.code).text;
  return error instanceof Error ? error.message : String(error);
}

/** Why the page cannot work in this browser at all; null if it can. */
export function missingFeature(): string | null {
  if (typeof WebAssembly !== "object" || !hasSimd()) {
    return (
      "This browser has no WebAssembly with SIMD, which the network needs. Any Chrome, Edge or " +
      "Firefox since 2021, or Safari since 16.4, has it: please update."
    );
  }
  if (typeof OffscreenCanvas !== "function" || typeof DecompressionStream !== "function") {
    return "This browser is too old for this page. Please update it.";
  }
  return null;
}

/** Whether the browser accepts a module with one SIMD instruction (`i8x16.splat` and a drop). */
function hasSimd(): boolean {
  const head = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  const type = [0x01, 0x04, 0x01, 0x60, 0x00, 0x00];
  const functions = [0x03, 0x02, 0x01, 0x00];
  const code = [0x0a, 0x09, 0x01, 0x07, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x1a, 0x0b];
  return WebAssembly.validate(new Uint8Array([...head, ...type, ...functions, ...code]));
}
