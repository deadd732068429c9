/** What page and worker say to each other. Frames and pictures change hands without a copy. */

import type { Precision } from "./contract.ts";
import type { BackendName, Manifest, ModelFile } from "./manifest.ts";
import type { View } from "./view.ts";

/** A size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Which network to run, and how. */
export interface StyleRequest {
  readonly id: string;
  readonly files: readonly ModelFile[];
  readonly index: number | null;
  readonly siblings: number;
  readonly code: Float32Array | null;
}

/** A picture whose style is to be read, and the networks that can. */
export interface Reading {
  readonly encoders: readonly ModelFile[];
  readonly picture: ImageBitmap;
}

export type ToWorker =
  | {
      readonly kind: "start";
      readonly site: string;
      readonly backend: BackendName | "auto";
      readonly threads: number;
      readonly preferences: Manifest["preferences"];
    }
  | { readonly kind: "style"; readonly style: StyleRequest }
  /** Whether a visitor's own model or picture paints: all its styles are to paint the sample. */
  | {
      readonly kind: "audition";
      readonly styles: readonly StyleRequest[];
      readonly sample: ImageBitmap;
      /** Where the styles' code is to be read first; null for those that have none. */
      readonly reading: Reading | null;
    }
  | {
      readonly kind: "frame";
      readonly frame: VideoFrame | ImageBitmap;
      /** Size at which the network runs. */
      readonly size: Size;
      readonly view: View;
      /** Number of the wish that this obeys: it comes back with the picture. */
      readonly wish: number;
      /** When the frame was captured, `performance.now()` of the page, in ms. */
      readonly capturedMs: number;
    }
  /** The last frame once more, with another view or style. */
  | { readonly kind: "again"; readonly view: View; readonly wish: number };

export type FromWorker =
  | { readonly kind: "loading"; readonly what: string; readonly share: number }
  | {
      readonly kind: "style";
      readonly id: string;
      readonly backend: BackendName;
      readonly threads: number;
      /** The engine's WebAssembly file, relative to the site. */
      readonly engineUrl: string;
      /** The file that runs, as in the manifest. */
      readonly url: string;
      readonly precision: Precision;
      /** Why it is not the backend that was hoped for; empty if it is. */
      readonly note: string;
    }
  | {
      readonly kind: "picture";
      readonly picture: ImageBitmap;
      /** Style that painted it. */
      readonly id: string;
      readonly wish: number;
      /** Of the network, in ms; null where it did not have to run again. */
      readonly inferMs: number | null;
      /** From arrival in the worker until now, in ms. */
      readonly workMs: number;
      /** Null for a repetition. */
      readonly capturedMs: number | null;
    }
  /** A style could not be loaded: the one before goes on. */
  | { readonly kind: "style-failed"; readonly id: string; readonly reason: string }
  /** A visitor's own model paints; `id` is that of its first style. */
  | {
      readonly kind: "auditioned";
      readonly id: string;
      /** JPEG, a picture of each style, in order. */
      readonly thumbnails: readonly Blob[];
      /** What was read; null if nothing was to be. */
      readonly code: Float32Array | null;
    }
  /** It does not. */
  | { readonly kind: "refused"; readonly id: string; readonly reason: string }
  /** A frame was lost. */
  | { readonly kind: "frame-failed"; readonly reason: string }
  /** Nothing can run here. */
  | { readonly kind: "failed"; readonly reason: string };
