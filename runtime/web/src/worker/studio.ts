/** Engine and networks: from a wish for a style to a network that runs. */

import { chooseFile, type BackendName, type Manifest, type ModelFile } from "../shared/manifest.ts";
import type { Reading, StyleRequest } from "../shared/messages.ts";
import { download, DownloadError } from "./download.ts";
import { Encoder } from "./encoder.ts";
import { type Engine, startWasm, startWebGpu } from "./engine.ts";
import { ContractError, Network } from "./network.ts";

/** How many networks stay loaded, so that going back and forth between styles is instant. */
const KEPT = 4;

export interface StudioOptions {
  readonly site: string;
  readonly backend: BackendName | "auto";
  readonly threads: number;
  readonly preferences: Manifest["preferences"];
  readonly onProgress: (what: string, share: number) => void;
}

/** A model's file that was fetched before its turn. */
export interface Fetched {
  readonly url: string;
  readonly data: ArrayBuffer;
}

export class Studio {
  readonly #options: StudioOptions;
  #engine: Promise<Engine> | null = null;
  /** Least recently used first. */
  readonly #networks = new Map<string, Network>();
  /** What reads styles, once it was wanted. */
  #encoder: { readonly url: string; readonly encoder: Encoder } | null = null;
  /** Files that are being fetched. */
  readonly #arriving = new Map<string, Promise<ArrayBuffer>>();
  #note = "";

  constructor(options: StudioOptions) {
    this.#options = options;
  }

  /** Why it is not the backend that was hoped for; empty if it is. */
  get note(): string {
    return this.#note;
  }

  /**
   * Fetch the file that `open` will want.
   *
   * @param signal ends it.
   * @returns null if there is none to fetch.
   * @throws Error it cannot be had.
   */
  async fetch(style: StyleRequest, signal: AbortSignal | null = null): Promise<Fetched | null> {
    const file = this.#fileFor(style, await this.#start());
    if (!file || signal?.aborted || this.#networks.has(file.url)) return null;
    return { url: file.url, data: await this.#download(file, signal) };
  }

  /** The same for `read`. */
  async fetchReader({ encoders }: Reading): Promise<Fetched | null> {
    const file = this.#readerOf(encoders);
    if (!file || this.#encoder?.url === file.url) return null;
    return { url: file.url, data: await this.#download(file) };
  }

  /**
   * Get a style's network ready on the best backend that takes it.
   *
   * @param fetched what `fetch` gave for it.
   * @throws Error none does, or its file cannot be had.
   */
  async open(style: StyleRequest, fetched: Fetched | null = null): Promise<Network> {
    const engine = await this.#start();
    const file = this.#fileFor(style, engine);
    if (!file) {
      const wanted = style.files.map((candidate) => candidate.precision).join(", ");
      return this.#fallBack(engine, style, new Error(`it does not run ${wanted} here`));
    }
    const kept = this.#networks.get(file.url);
    if (kept) {
      this.#networks.delete(file.url);
      this.#networks.set(file.url, kept);
      return kept;
    }
    try {
      return await this.#load(file, engine, style, fetched);
    } catch (error) {
      if (error instanceof ContractError || error instanceof DownloadError) throw error;
      return this.#fallBack(engine, style, error);
    }
  }

  /**
   * The code of a picture's style.
   *
   * @param fetched what `fetchReader` gave for it.
   * @throws Error it cannot be read.
   */
  async read(
    { encoders, picture }: Reading,
    fetched: Fetched | null = null,
  ): Promise<Float32Array> {
    const engine = await this.#start();
    const file = this.#readerOf(encoders);
    if (!file) throw new Error("what reads styles does not run here");
    if (this.#encoder?.url !== file.url) {
      const encoder = await Encoder.load(await this.#dataOf(file, fetched), engine);
      this.#encoder = { url: file.url, encoder };
    }
    return this.#encoder.encoder.read(picture);
  }

  /** Whether a style's network is loaded already, and may be painting. */
  has(style: StyleRequest): boolean {
    return style.files.some(({ url }) => this.#networks.has(url));
  }

  /** Let go of a network. */
  async forget(network: Network): Promise<void> {
    this.#networks.delete(network.file.url);
    await network.release();
  }

  /** After a frame was lost: the same style on WebAssembly, if it was not there already. */
  async recover(network: Network, style: StyleRequest, error: unknown): Promise<Network> {
    return this.#fallBack(network.engine, style, error);
  }

  async #load(
    file: ModelFile,
    engine: Engine,
    style: StyleRequest,
    fetched: Fetched | null = null,
  ): Promise<Network> {
    const network = await Network.load(file, await this.#dataOf(file, fetched), engine, style);
    this.#networks.set(file.url, network);
    await this.#releaseOldest();
    return network;
  }

  async #dataOf(file: ModelFile, fetched: Fetched | null): Promise<ArrayBuffer> {
    // Another backend, to which it fell back meanwhile, may want another file.
    return fetched?.url === file.url ? fetched.data : this.#download(file);
  }

  /** Who wants the same file at a time shares it, but for those who may give it up. */
  #download(file: ModelFile, signal: AbortSignal | null = null): Promise<ArrayBuffer> {
    if (signal) return this.#downloadAlone(file, signal);
    const arriving =
      this.#arriving.get(file.url) ??
      this.#downloadAlone(file, null).finally(() => this.#arriving.delete(file.url));
    this.#arriving.set(file.url, arriving);
    return arriving;
  }

  #downloadAlone(file: ModelFile, signal: AbortSignal | null): Promise<ArrayBuffer> {
    const onProgress = (share: number): void => {
      this.#options.onProgress("style", share);
    };
    return download(new URL(file.url, this.#options.site), onProgress, signal);
  }

  #readerOf(encoders: readonly ModelFile[]): ModelFile | null {
    return chooseFile(encoders, this.#options.preferences.wasm);
  }

  #fileFor(style: StyleRequest, engine: Engine): ModelFile | null {
    const preference = this.#options.preferences[engine.backend];
    return chooseFile(
      style.files,
      preference.filter((precision) => engine.runs(precision)),
    );
  }

  async #fallBack(engine: Engine, style: StyleRequest, error: unknown): Promise<Network> {
    if (engine.backend === "wasm" || this.#options.backend !== "auto") throw error;
    const wasm = await this.#startWasm();
    const file = this.#fileFor(style, wasm);
    if (!file) throw error;
    const others = [...this.#networks.keys()];
    const network = await this.#load(file, wasm, style);
    // Only now: a model that runs nowhere must not cost the others their device.
    for (const url of others) this.#networks.delete(url); // not released: a lost device is silent
    this.#encoder = null; // it ran in the same engine
    this.#networks.set(file.url, network);
    this.#engine = Promise.resolve(wasm);
    this.#note = `WebGPU was left: ${messageOf(error)}`;
    return network;
  }

  async #start(): Promise<Engine> {
    this.#engine ??= this.#choose();
    try {
      return await this.#engine;
    } catch (error) {
      this.#engine = null; // so that another try may succeed, when the connection is back
      throw error;
    }
  }

  async #choose(): Promise<Engine> {
    const { backend, site, threads, onProgress } = this.#options;
    if (backend === "wasm") return this.#startWasm();
    try {
      return await startWebGpu(site, threads, backend === "webgpu", (share) => {
        onProgress("engine", share);
      });
    } catch (error) {
      if (backend === "webgpu") throw error;
      this.#note = messageOf(error);
      return this.#startWasm();
    }
  }

  #startWasm(): Promise<Engine> {
    const { site, threads, onProgress } = this.#options;
    return startWasm(site, threads, (share) => {
      onProgress("engine", share);
    });
  }

  async #releaseOldest(): Promise<void> {
    for (const [url, network] of this.#networks) {
      if (this.#networks.size <= KEPT) return;
      this.#networks.delete(url);
      await network.release();
    }
  }
}

/** What an error says, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? "";
}
