/** One network, ready to run. */

import type { InferenceSession } from "onnxruntime-web";

import { CHANNELS, INPUT_NAME, OUTPUT_NAME, STYLE_INPUT_NAME } from "../shared/contract.ts";
import type { ModelFile } from "../shared/manifest.ts";
import type { Size } from "../shared/messages.ts";
import type { Engine } from "./engine.ts";

const TRIAL_SIDE_PX = 64;

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
   * @throws Error the engine does not take it, or it violates the contract.
   */
  static async load(
    file: ModelFile,
    data: ArrayBuffer,
    engine: Engine,
    siblings: number,
  ): Promise<Network> {
    const session = await engine.ort.InferenceSession.create(new Uint8Array(data), engine.options);
    if (!isPicture(session.inputMetadata, INPUT_NAME)) {
      await session.release();
      throw new Error("the model does not take 'image' as uint8 [1, H, W, 3]");
    }
    if (!isPicture(session.outputMetadata, OUTPUT_NAME)) {
      await session.release();
      throw new Error("the model does not give 'stylized' as uint8 [1, H, W, 3]");
    }
    const network = new Network(file, engine, session);
    if (engine.backend === "webgpu") {
      const size = { width: TRIAL_SIDE_PX, height: TRIAL_SIDE_PX };
      const grey = new Uint8Array(TRIAL_SIDE_PX * TRIAL_SIDE_PX * 3).fill(128);
      try {
        await network.run(grey, size, 0, siblings);
      } catch (error) {
        await network.release();
        throw error;
      }
    }
    return network;
  }

  /** Stylize a frame [H, W, 3] of 16 pixels or more a side: the same size. */
  async run(
    rgb: Uint8Array,
    size: Size,
    index: number | null,
    siblings: number,
  ): Promise<Uint8Array> {
    const { Tensor } = this.engine.ort;
    const feeds: Record<string, InferenceSession.OnnxValueMapType[string]> = {
      [INPUT_NAME]: new Tensor("uint8", rgb, [1, size.height, size.width, CHANNELS]),
    };
    if (this.#session.inputNames.includes(STYLE_INPUT_NAME)) {
      const weights = new Float32Array(siblings);
      weights[index ?? 0] = 1;
      feeds[STYLE_INPUT_NAME] = new Tensor("float32", weights, [siblings]);
    }
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

/** Whether a model has a tensor of that name for pictures as the contract wants them. */
function isPicture(infos: readonly InferenceSession.ValueMetadata[], name: string): boolean {
  const info = infos.find((candidate) => candidate.name === name);
  return (
    info?.isTensor === true &&
    info.type === "uint8" &&
    info.shape.length === 4 &&
    info.shape[0] === 1 &&
    info.shape[3] === CHANNELS
  );
}
