/** One network, ready to run. */

import type { InferenceSession } from "onnxruntime-web";

import { CHANNELS, INPUT_NAME, OUTPUT_NAME, STYLE_INPUT_NAME } from "../shared/contract.ts";
import type { ModelFile } from "../shared/manifest.ts";
import type { Size } from "../shared/messages.ts";
import { type Sibling, styleWeights } from "../shared/siblings.ts";
import type { Engine } from "./engine.ts";

const TRIAL_SIDE_PX = 64;

/** A model is not what the page runs, on whatever engine; the message says what it should be. */
export class ContractError extends Error {}

export class Network {
  readonly file: ModelFile;
  readonly engine: Engine;
  readonly #session: InferenceSession;

  private constructor(file: ModelFile, engine: Engine, session: InferenceSession) {
    this.file = file;
    this.engine = engine;
    this.#session = session;
  }

  /**
   * Load a file, and run it once where an engine may start well and fail at the first frame.
   *
   * @param style one of its styles.
   * @throws ContractError the model is not what the page runs.
   * @throws Error the engine does not take it.
   */
  static async load(
    file: ModelFile,
    data: ArrayBuffer,
    engine: Engine,
    style: Sibling,
  ): Promise<Network> {
    const session = await engine.ort.InferenceSession.create(new Uint8Array(data), engine.options);
    const problem = contractProblem(session, style);
    if (problem !== null) {
      await session.release();
      throw new ContractError(problem);
    }
    const network = new Network(file, engine, session);
    if (engine.backend === "webgpu") {
      const size = { width: TRIAL_SIDE_PX, height: TRIAL_SIDE_PX };
      const grey = new Uint8Array(TRIAL_SIDE_PX * TRIAL_SIDE_PX * 3).fill(128);
      try {
        await network.run(grey, size, styleWeights(style, 0));
      } catch (error) {
        await network.release();
        throw error;
      }
    }
    return network;
  }

  /**
   * Stylize a frame [H, W, 3] of 16 pixels or more a side: the same size.
   *
   * @param weights over the network's styles; null if it has one.
   */
  async run(rgb: Uint8Array, size: Size, weights: Float32Array | null): Promise<Uint8Array> {
    const { Tensor } = this.engine.ort;
    const feeds: Record<string, InferenceSession.OnnxValueMapType[string]> = {
      [INPUT_NAME]: new Tensor("uint8", rgb, [1, size.height, size.width, CHANNELS]),
    };
    if (weights) feeds[STYLE_INPUT_NAME] = new Tensor("float32", weights, [weights.length]);
    const results = await this.#session.run(feeds);
    const data = results[OUTPUT_NAME]?.data;
    if (!(data instanceof Uint8Array) || data.length !== rgb.length) {
      throw new Error("the network gave a picture of another size");
    }
    return data;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** What the page cannot do with a model; null if it can run it. */
function contractProblem(session: InferenceSession, { index, code }: Sibling): string | null {
  if (!isPicture(session.inputMetadata, INPUT_NAME)) {
    return "it does not take 'image' as uint8 [1, H, W, 3]";
  }
  if (!isPicture(session.outputMetadata, OUTPUT_NAME)) {
    return "it does not give 'stylized' as uint8 [1, H, W, 3]";
  }
  const [, height, width] = tensorNamed(session.inputMetadata, INPUT_NAME)?.shape ?? [];
  if (typeof height === "number" || typeof width === "number") {
    return `it takes frames of ${width}×${height} only: export it without --size`;
  }
  const takesStyle = session.inputNames.includes(STYLE_INPUT_NAME);
  if (takesStyle && index === null && code === null)
    return "it wants a style that another model reads off a painting";
  if (!takesStyle && (index !== null || code !== null)) {
    return "it names many styles and takes none";
  }
  const [length] = tensorNamed(session.inputMetadata, STYLE_INPUT_NAME)?.shape ?? [];
  if (code !== null && typeof length === "number" && length !== code.length) {
    return `it takes styles of ${length} numbers, and what reads them gives ${code.length}`;
  }
  return null;
}

/** Whether a model has a tensor of that name for pictures as the contract wants them. */
function isPicture(infos: readonly InferenceSession.ValueMetadata[], name: string): boolean {
  const info = tensorNamed(infos, name);
  return (
    info?.type === "uint8" &&
    info.shape.length === 4 &&
    info.shape[0] === 1 &&
    info.shape[3] === CHANNELS
  );
}

function tensorNamed(
  infos: readonly InferenceSession.ValueMetadata[],
  name: string,
): InferenceSession.TensorValueMetadata | null {
  const info = infos.find((candidate) => candidate.name === name);
  return info?.isTensor ? info : null;
}
