/** Opens sources one at a time, and says what is wrong where one cannot be had. */

import { CameraSource, listCameras } from "../sources/camera.ts";
import { ClipSource } from "../sources/clip.ts";
import { PictureSource } from "../sources/picture.ts";
import { SampleSource } from "../sources/sample.ts";
import { type OnFrame, type Source, SourceError } from "../sources/source.ts";
import { element } from "./dom.ts";
import type { Notice } from "./notice.ts";
import { explain } from "./words.ts";

export interface SourceDeskOptions {
  readonly notice: Notice;
  readonly onFrame: OnFrame;
  readonly onOpened: (source: Source) => void;
}

export class SourceDesk {
  readonly #options: SourceDeskOptions;
  readonly #cameras = element("camera", HTMLSelectElement);
  readonly #cameraRow = element("camera-row", HTMLElement);
  /** Which opening is the last that was asked for: slower ones before it are given up. */
  #asked = 0;
  /** Which opening gave the source that is shown; it goes on until another one is there. */
  #shown = 0;
  #source: Source | null = null;

  constructor(options: SourceDeskOptions) {
    this.#options = options;
    for (const id of ["start-camera", "use-camera"]) {
      element(id, HTMLButtonElement).addEventListener("click", () => {
        void this.openCamera();
      });
    }
    this.#cameras.addEventListener("change", () => {
      void this.openCamera(this.#cameras.value);
    });
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    devices?.addEventListener("devicechange", () => {
      void this.#fillCameras(this.#cameras.value);
    });
  }

  /** The clip that needs nobody's permission. */
  async openSample(): Promise<void> {
    await this.#open(
      (onFrame) => SampleSource.open(onFrame),
      () => void this.openSample(),
    );
  }

  /** @param id of a camera; empty for the one that faces the visitor. */
  async openCamera(id = ""): Promise<void> {
    const retry = (): void => void this.openCamera(id);
    const former = { isClosed: false };
    const opening = this.#open(async (onFrame) => {
      const open = (): Promise<CameraSource> =>
        CameraSource.open(id, onFrame, () => {
          this.#cameraIsLost(id);
        });
      try {
        return await open();
      } catch (error) {
        const before = this.#source;
        const isBusy = error instanceof SourceError && error.code === "camera-busy";
        if (!isBusy || !(before instanceof CameraSource)) throw error;
        // Many phones run one camera at a time.
        before.close();
        former.isClosed = true;
        return open();
      }
    }, retry);
    const turn = this.#asked;
    const opened = await opening;
    if (turn !== this.#asked) return; // something else has been asked for meanwhile
    if (opened instanceof CameraSource) {
      await this.#fillCameras(opened.id);
    } else if (former.isClosed) {
      await this.openSample();
      this.#refuse(new SourceError("camera-busy"), retry);
    } else if (this.#source instanceof CameraSource) {
      this.#cameras.value = this.#source.id;
    }
  }

  async openPicture(file: File): Promise<void> {
    await this.#open(() => PictureSource.open(file));
  }

  async openClip(file: File): Promise<void> {
    await this.#open((onFrame) => ClipSource.open(file, onFrame));
  }

  async #open(
    opening: (onFrame: OnFrame) => Promise<Source>,
    retry?: () => void,
  ): Promise<Source | null> {
    this.#asked += 1;
    const turn = this.#asked;
    let source;
    try {
      // Frames of a source that has been replaced are nobody's business.
      source = await opening((capturedMs) => {
        if (turn === this.#shown) this.#options.onFrame(capturedMs);
      });
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      if (turn === this.#asked) this.#refuse(error, retry);
      return null;
    }
    if (turn !== this.#asked) {
      source.close();
      return null;
    }
    this.#shown = turn;
    this.#source = source;
    this.#options.notice.clear("source");
    this.#options.onOpened(source);
    return source;
  }

  #refuse(error: SourceError, retry?: () => void): void {
    const { text, canRetry } = explain(error.code);
    const actions = canRetry && retry ? [{ label: "Try again", run: retry }] : [];
    this.#options.notice.trouble(text, actions, "source");
  }

  #cameraIsLost(id: string): void {
    void this.openSample().then(() => {
      // The same camera may come back; another may be there.
      this.#refuse(new SourceError("camera-lost"), () => void this.openCamera(id));
    });
  }

  async #fillCameras(chosen: string): Promise<void> {
    const cameras = await listCameras();
    this.#cameras.replaceChildren(
      ...cameras.map(({ id, label }) => new Option(label, id, false, id === chosen)),
    );
    this.#cameraRow.hidden = cameras.length < 2;
  }
}
