/** `styles.json`: what the site holds, written by `edge-style web` from the models' metadata. */

import { isPrecision, type Precision } from "./contract.ts";

export type BackendName = "webgpu" | "wasm";

/** One `.onnx` file. */
export interface ModelFile {
  /** Address relative to the page, or a `blob:` one for a visitor's own model. */
  readonly url: string;
  readonly sizeBytes: number;
  readonly precision: Precision;
}

/** One entry of the gallery. */
export interface Style {
  readonly id: string;
  readonly painting: string;
  readonly artist: string;
  readonly year: string;
  readonly licence: string;
  readonly thumbnail: string;
  readonly files: readonly ModelFile[];
  /** Which of a many-style network's styles; null for a network that has one. */
  readonly index: number | null;
  /** How many styles that network has, the length of its `style` input. */
  readonly siblings: number;
  /** What was read off a visitor's picture, for the network for any style; null for others. */
  readonly code: Float32Array | null;
}

/** A network that paints in the style of any picture, and what reads the style off it. */
export interface AnyStyle {
  readonly files: readonly ModelFile[];
  readonly encoders: readonly ModelFile[];
  readonly licence: string;
}

export interface Manifest {
  readonly styles: readonly Style[];
  /** Null if the site has none. */
  readonly anyStyle: AnyStyle | null;
  /** For each backend the precisions it runs, the fastest first. */
  readonly preferences: Readonly<Record<BackendName, readonly Precision[]>>;
  /** Whether a service worker is to keep the site for later: not on the visitor's own machine. */
  readonly isKeptOffline: boolean;
}

/** `styles.json` is not what this page expects. */
export class ManifestError extends Error {}

/**
 * Check and read `styles.json`.
 *
 * @throws ManifestError naming the first thing that is missing or of the wrong kind.
 */
export function parseManifest(json: unknown): Manifest {
  const root = record(json, "styles.json");
  const preferences = record(root.preferences, "preferences");
  return {
    styles: list(root.styles, "styles").map(style),
    anyStyle: anyStyle(root.any_style ?? null),
    preferences: {
      webgpu: list(preferences.webgpu, "preferences.webgpu").map(precision),
      wasm: list(preferences.wasm, "preferences.wasm").map(precision),
    },
    isKeptOffline: root.offline === true,
  };
}

/** The file of a style that a backend runs fastest; null if it runs none of them. */
export function chooseFile(
  files: readonly ModelFile[],
  preference: readonly Precision[],
): ModelFile | null {
  for (const wanted of preference) {
    const file = files.find((candidate) => candidate.precision === wanted);
    if (file) return file;
  }
  return null;
}

/** `The Starry Night, Vincent van Gogh, 1889`. */
export function credit(style: Style): string {
  return [style.painting, style.artist, style.year].filter((part) => part !== "").join(", ");
}

function style(json: unknown, position: number): Style {
  const where = `styles[${position}]`;
  const entry = record(json, where);
  const index = entry.index;
  if (index !== null && typeof index !== "number") {
    throw new ManifestError(`${where}.index should be a number or null`);
  }
  return {
    id: text(entry, "id", where),
    painting: text(entry, "painting", where),
    artist: text(entry, "artist", where),
    year: text(entry, "year", where),
    licence: text(entry, "licence", where),
    thumbnail: text(entry, "thumbnail", where),
    files: modelFiles(entry, "files", where),
    index,
    siblings: count(entry, "siblings", where),
    code: null,
  };
}

function anyStyle(json: unknown): AnyStyle | null {
  if (json === null) return null;
  const where = "any_style";
  const entry = record(json, where);
  return {
    files: modelFiles(entry, "files", where),
    encoders: modelFiles(entry, "encoders", where),
    licence: text(entry, "licence", where),
  };
}

function modelFiles(entry: Record<string, unknown>, key: string, where: string): ModelFile[] {
  const files = list(entry[key], `${where}.${key}`).map((item, number) =>
    modelFile(item, `${where}.${key}[${number}]`),
  );
  if (files.length === 0) throw new ManifestError(`${where} has no ${key}`);
  return files;
}

function modelFile(json: unknown, where: string): ModelFile {
  const entry = record(json, where);
  return {
    url: text(entry, "url", where),
    sizeBytes: count(entry, "size_bytes", where),
    precision: precision(entry.precision),
  };
}

function precision(json: unknown): Precision {
  if (!isPrecision(json)) throw new ManifestError(`unknown precision ${JSON.stringify(json)}`);
  return json;
}

function record(json: unknown, where: string): Record<string, unknown> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ManifestError(`${where} should be an object`);
  }
  return json as Record<string, unknown>;
}

function list(json: unknown, where: string): unknown[] {
  if (!Array.isArray(json)) throw new ManifestError(`${where} should be a list`);
  return json;
}

function text(entry: Record<string, unknown>, key: string, where: string): string {
  const value = entry[key];
  if (typeof value !== "string") throw new ManifestError(`${where}.${key} should be a text`);
  return value;
}

function count(entry: Record<string, unknown>, key: string, where: string): number {
  const value = entry[key];
  if (typeof value !== "number" || value < 0) {
    throw new ManifestError(`${where}.${key} should be a number`);
  }
  return value;
}
