/** Styles by turns: the next one every so many seconds, for screens that nobody attends to. */

import type { Style } from "../shared/manifest.ts";

export class Turns {
  readonly #everyMs: number | null;
  readonly #onTurn: () => void;
  readonly #failed = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `everySeconds`: how long a style is shown; null for ever. */
  constructor(everySeconds: number | null, onTurn: () => void) {
    this.#everyMs = everySeconds === null ? null : everySeconds * 1000;
    this.#onTurn = onTurn;
  }

  /** A turn begins: a style that was chosen, by whomever, has come, or the picture moves again. */
  begin(): void {
    this.stop();
    if (this.#everyMs !== null) this.#timer = setTimeout(this.#onTurn, this.#everyMs);
  }

  /** The picture stands still, or another style is on its way, and so does the clock. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Whether a style could be shown. Those that could not are passed over, or it ended with them. */
  note(id: string, isShown: boolean): void {
    if (isShown) this.#failed.delete(id);
    else this.#failed.add(id);
  }

  /** The number of the style after `style`; null if there is no other. */
  next(style: number, styles: readonly Pick<Style, "id">[]): number | null {
    const others = styles.map((_, step) => (style + step) % styles.length).slice(1);
    const able = others.find((number) => !this.#failed.has(styles[number]?.id ?? ""));
    if (able === undefined) this.#failed.clear(); // once all have failed, they are tried again
    return able ?? null;
  }
}
