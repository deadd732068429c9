/** What reads the style off a picture: a network of its own, run once for each picture. */

import type { InferenceSession } from "onnxruntime-web";

import {
  CHANNELS,
  INPUT_NAME,
  METADATA_PREFIX,
  MIN_SIDE_PX,
  STYLE_INPUT_NAME,
} from "../shared/contract.ts";
import type { Size } from "../shared/messages.ts";
import { readMetadata } from "../shared/onnx-metadata.ts";
import type { Engine } from "./engine.ts";
import { fillWhite, packRgb } from "./pixels.ts";

// As `runtime/edge_style/any_style/encoder.py` has them: the size of strokes is part of a style.
const SHORT_SIDE_PX = 256;
const LONGEST = 2.5;
const LARGEST_PX = 2048;

/** The size at which a picture is looked at, by an encoder that wants its short side so long. */
export function readingSize({ width, height }: Size, shortSide: number): Size {
  const share = Math.min(
    shortSide / Math.min(width, height),
    (LONGEST * shortSide) / Math.max(width, height),
  );
  const side = (length: number): number => Math.max(MIN_SIDE_PX, Math.round(length * share));
  return { width: side(width), height: side(height) };
}

export class Encoder {
  readonly #engine: Engine;
  readonly #session: InferenceSession;
  readonly #shortSide: number;

  private constructor(engine: Engine, session: InferenceSession, shortSide: number) {
    this.#engine = engine;
    this.#session = session;
    this.#shortSide = shortSide;
  }

  /** On WebAssembly also beside a network on WebGPU: it runs once, and that takes every file. */
  static async load(data: ArrayBuffer, engine: Engine): Promise<Encoder> {
    const options = { ...engine.options, executionProviders: ["wasm"] };
    const bytes = new Uint8Array(data);
    // Before the session has it, which may take the bytes for itself.
    const shortSide = Number(readMetadata(bytes, "").get(`${METADATA_PREFIX}picture_px`));
    if (!(shortSide >= 0 && shortSide <= LARGEST_PX) && !Number.isNaN(shortSide)) {
      throw new Error(`its style reader wants pictures of ${shortSide} pixels`);
    }
    const session = await engine.ort.InferenceSession.create(bytes, options);
    return new Encoder(engine, session, shortSide || SHORT_SIDE_PX);
  }

  /**
   * The code of a picture.
   *
   * @throws Error the picture is too small, or the network gives no code.
   */
  async read(picture: ImageBitmap): Promise<Float32Array> {
    if (Math.min(picture.width, picture.height) < MIN_SIDE_PX) {
      throw new Error(`it should have ${MIN_SIDE_PX} pixels at least on each side`);
    }
    const { width, height } = readingSize(picture, this.#shortSide);
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser gives no canvas to a worker");
    context.imageSmoothingQuality = "high";
    fillWhite(context);
    context.drawImage(picture, 0, 0, width, height);
    const rgb = new Uint8Array(width * height * CHANNELS);
    packRgb(context.getImageData(0, 0, width, height).data, rgb);
    const { Tensor } = this.#engine.ort;
    const results = await this.#session.run({
      [INPUT_NAME]: new Tensor("uint8", rgb, [1, height, width, CHANNELS]),
    });
    const code = results[STYLE_INPUT_NAME]?.data;
    if (!(code instanceof Float32Array) || !code.every(Number.isFinite)) {
      throw new Error("its style cannot be read");
    }
    return code;
  }
}
