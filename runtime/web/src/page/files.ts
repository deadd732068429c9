/** What a dropped file is. */

export type FileKind = "picture" | "clip" | "model" | "unknown";

/** By its name first: browsers know no type for `.onnx`, and some none for clips. */
export function kindOfFile(file: { readonly name: string; readonly type: string }): FileKind {
  if (/\.onnx$/i.test(file.name)) return "model";
  if (file.type.startsWith("image/")) return "picture";
  if (file.type.startsWith("video/")) return "clip";
  if (/\.(mp4|m4v|mov|webm|mkv|avi)$/i.test(file.name)) return "clip";
  if (/\.(jpe?g|png|webp|gif|avif|bmp)$/i.test(file.name)) return "picture";
  return "unknown";
}

export interface Drops {
  /** What is seen while files are dragged over the page. */
  readonly hint: HTMLElement;
  /** What it says over a place. */
  readonly words: (place: EventTarget | null) => string;
  readonly onFiles: (files: File[], place: EventTarget | null) => void;
}

/** Take files that are dropped anywhere on the page. */
export function watchDrops(target: HTMLElement, { hint, words, onFiles }: Drops): void {
  const hasFiles = (event: DragEvent): boolean =>
    event.dataTransfer?.types.includes("Files") ?? false;
  target.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    const says = words(event.target);
    if (hint.textContent !== says) hint.textContent = says;
    hint.hidden = false;
  });
  target.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) hint.hidden = true;
  });
  target.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    hint.hidden = true;
    onFiles([...(event.dataTransfer?.files ?? [])], event.target);
  });
}
