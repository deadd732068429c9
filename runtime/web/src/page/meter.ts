/** Frame rate and latency of what was shown lately. */

const WINDOW_MS = 2000;
const MIN_FRAMES = 8;
const MAX_FRAMES = 120;

interface Sample {
  readonly shownMs: number;
  readonly latencyMs: number;
}

export class Meter {
  #samples: Sample[] = [];

  /** A frame was shown. Both times are `performance.now()`. */
  add(capturedMs: number, shownMs: number): void {
    this.#samples.push({ shownMs, latencyMs: Math.max(0, shownMs - capturedMs) });
    // Slow networks have few frames in the window: some are kept all the same.
    while (
      this.#samples.length > MAX_FRAMES ||
      (this.#samples.length > MIN_FRAMES && shownMs - (this.#samples[0]?.shownMs ?? 0) > WINDOW_MS)
    ) {
      this.#samples.shift();
    }
  }

  /** Frames per second: intervals by time, null before there are two frames. */
  get fps(): number | null {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.shownMs <= first.shownMs) return null;
    return ((this.#samples.length - 1) * 1000) / (last.shownMs - first.shownMs);
  }

  /** Median time from capture until shown, in ms; null before there is a frame. */
  get latencyMs(): number | null {
    return median(this.#samples.map((sample) => sample.latencyMs));
  }

  /** Forget everything: pauses and other sources are not to be counted. */
  reset(): void {
    this.#samples = [];
  }
}

/** The middle one of some numbers; null of none. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}
