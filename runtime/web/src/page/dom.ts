/** The page's elements, by their ids. */

/**
 * An element that `index.html` has.
 *
 * @throws Error it has none of that id and kind: page and script do not belong together.
 */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} '${id}'`);
  return found;
}

/** Offer a file to the visitor's downloads. */
export function saveFile(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has begun by then; the address would hold the file in memory for ever.
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 60_000);
}

/** `edge-style starry 2026-05-01 12.30.00.png`, in the visitor's time. */
export function fileName(style: string, suffix: string, now: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  const time = `${two(now.getHours())}.${two(now.getMinutes())}.${two(now.getSeconds())}`;
  return `edge-style ${style} ${day} ${time}.${suffix}`;
}
