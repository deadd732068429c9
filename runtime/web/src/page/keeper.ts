/** What the visitor keeps: snapshots and recordings, as downloads. */

import { fileName, saveFile } from "./dom.ts";
import type { Notice } from "./notice.ts";
import { Recorder } from "./recorder.ts";

export interface KeeperOptions {
  readonly canvas: HTMLCanvasElement;
  readonly notice: Notice;
  /** What is on the canvas, for the file's name. */
  readonly title: () => string;
  /** Told when a recording begins and when it ends. */
  readonly onRecording: (isRecording: boolean) => void;
}

export class Keeper {
  readonly #options: KeeperOptions;
  #recorder: Recorder | null = null;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  get isRecording(): boolean {
    return this.#recorder !== null;
  }

  async saveSnapshot(): Promise<void> {
    const { canvas, notice } = this.#options;
    const blob = await new Promise<Blob | null>((resolve) => {
      canvas.toBlob(resolve, "image/png");
    });
    if (!blob) return;
    saveFile(blob, this.#fileName("png"));
    notice.say("Snapshot saved");
  }

  async toggleRecording(): Promise<void> {
    if (this.#recorder) await this.endRecording();
    else this.#begin();
  }

  /** End and save what is being recorded, if anything is. */
  async endRecording(): Promise<void> {
    if (this.#recorder) await this.#end(this.#recorder);
  }

  #begin(): void {
    const { canvas, notice, onRecording } = this.#options;
    let recorder: Recorder;
    try {
      recorder = new Recorder(canvas);
    } catch {
      notice.trouble("This browser cannot record pages. Snapshots work.");
      return;
    }
    this.#recorder = recorder;
    void recorder.ended.then(() => {
      if (this.#recorder === recorder) void this.#end(recorder);
    });
    notice.say("Recording");
    onRecording(true);
  }

  async #end(recorder: Recorder): Promise<void> {
    const { notice, onRecording } = this.#options;
    this.#recorder = null;
    onRecording(false);
    try {
      const { blob, suffix } = await recorder.stop();
      saveFile(blob, this.#fileName(suffix));
      notice.say("Recording saved");
    } catch {
      notice.trouble("The recording failed: the browser wrote nothing.");
    }
  }

  #fileName(suffix: string): string {
    const name = this.#options.title().toLowerCase();
    return fileName(name.replace(/[^\p{L}\p{N}]+/gu, "-"), suffix, new Date());
  }
}
