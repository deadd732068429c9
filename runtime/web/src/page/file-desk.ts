/** Takes the visitor's files, chosen or dropped: pictures and clips to paint, styles of their own. */

import type { AnyStyle, Style } from "../shared/manifest.ts";
import { ModelFileError } from "../shared/onnx-metadata.ts";
import { element } from "./dom.ts";
import { kindOfFile, watchDrops } from "./files.ts";
import type { Notice } from "./notice.ts";
import { openModel } from "./own-models.ts";
import { openStyle } from "./own-pictures.ts";
import type { SourceDesk } from "./source-desk.ts";
import { reasonOf } from "./words.ts";

export interface FileDeskOptions {
  readonly notice: Notice;
  readonly worker: Worker;
  readonly sources: SourceDesk;
  /** What makes a picture a style; null if the site has none. */
  readonly anyStyle: AnyStyle | null;
  /** Told the styles that a file brings. */
  readonly onStyles: (styles: readonly Style[]) => void;
}

export class FileDesk {
  readonly #options: FileDeskOptions;

  constructor(options: FileDeskOptions) {
    this.#options = options;
    const styles = element("styles", HTMLElement);
    const opener = element("open-style", HTMLButtonElement);
    opener.hidden = options.anyStyle === null;
    watchInput("files", ["open-files", "open-files-too", "open-model"], (files) => {
      void this.#open(files, false);
    });
    watchInput("style-files", [opener.id], (files) => {
      void this.#open(files, true);
    });
    const isForStyles = (place: EventTarget | null): boolean =>
      !opener.hidden && place instanceof Node && styles.contains(place);
    watchDrops(document.documentElement, {
      hint: element("drop-hint", HTMLElement),
      words: (place) => (isForStyles(place) ? "Paint like it" : "Drop it"),
      onFiles: (files, place) => {
        void this.#open(files, isForStyles(place));
      },
    });
  }

  /** @param asStyles whether what is painted should look like these pictures. */
  async #open(files: readonly File[], asStyles: boolean): Promise<void> {
    const { notice, sources } = this.#options;
    for (const file of files) {
      const kind = kindOfFile(file);
      if (kind === "picture" && asStyles) await this.#openStyle(file);
      else if (kind === "picture") await sources.openPicture(file);
      else if (kind === "clip") await sources.openClip(file);
      else if (kind === "model") await this.#openModel(file);
      else {
        notice.trouble(
          `${file.name} is no picture, clip or .onnx model: those can be opened here.`,
        );
      }
    }
  }

  async #openModel(file: File): Promise<void> {
    const { notice, worker, onStyles } = this.#options;
    try {
      onStyles(await openModel(file, worker));
    } catch (error) {
      if (!(error instanceof ModelFileError)) throw error;
      notice.trouble(error.message);
    }
  }

  async #openStyle(file: File): Promise<void> {
    const { notice, worker, anyStyle, onStyles } = this.#options;
    if (!anyStyle) return;
    try {
      onStyles([await openStyle(file, anyStyle, worker)]);
    } catch (error) {
      notice.trouble(`${file.name} cannot be a style: ${reasonOf(error)}`);
    }
  }
}

/** Buttons that let the visitor choose files. */
function watchInput(id: string, buttons: string[], onFiles: (files: File[]) => void): void {
  const input = element(id, HTMLInputElement);
  input.addEventListener("change", () => {
    onFiles([...(input.files ?? [])]);
    input.value = ""; // so that the same file can be chosen again
  });
  for (const button of buttons) {
    element(button, HTMLButtonElement).addEventListener("click", () => {
      input.click();
    });
  }
}
