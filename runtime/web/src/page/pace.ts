/** The resolution that holds the frame rate. */

import { MIN_SIDE_PX } from "../shared/contract.ts";
import type { Size } from "../shared/messages.ts";
import { median } from "./meter.ts";

/** Lengths of the shorter side to choose from. */
export const RUNGS_PX = [144, 192, 240, 288, 360, 480, 600, 720] as const;
export const START_PX = 240;
/** Of a still picture, where there is no frame rate to hold. */
const STILL_PX = 720;
/**
 * The most pixels of a frame, whatever its sides: a long screenshot or a very wide clip has a short
 * side as others, and many times the pixels. A full-size network of a visitor's own takes 590 bytes
 * of memory for each (measured on WebAssembly), 1.2 GB in all; there are 4 at most for all networks
 * that stay loaded, and less on phones.
 */
const LARGEST_AREA_PX = 2e6;

const TARGET_FPS = 15;
const BUDGET_MS = 1000 / TARGET_FPS;
/** Frames to look at before going down, and before going up. */
const DOWN_AFTER = 4;
const UP_AFTER = 16;
/** Browsers compile WebAssembly quickly first and well while it runs already. */
const WARM_UP_FRAMES = 6;
/** A size that proved too much is not tried again for so long. */
const PATIENCE_MS = 20_000;

/**
 * Chooses the network's size from what frames cost, step by step.
 *
 * Time goes with the number of pixels, so that the first look at a slow device is enough to find
 * the size it can hold; going up is one step at a time, and slower, because every change is seen.
 */
export class Pace {
  #rung: number = RUNGS_PX.indexOf(START_PX);
  #costsMs: number[] = [];
  /** Frames that are not looked at. */
  #skipped = WARM_UP_FRAMES;
  #ceiling: { readonly rung: number; readonly untilMs: number } | null = null;
  #wentUp = false;

  /** Length of the shorter side, in pixels. */
  get sidePx(): number {
    return RUNGS_PX[this.#rung] ?? START_PX;
  }

  /** Another network or device: what is known of costs is void. */
  reset(): void {
    this.#startLooking(WARM_UP_FRAMES);
    this.#ceiling = null;
    this.#wentUp = false;
  }

  /**
   * A frame of the present size was stylized.
   *
   * @param workMs time that it took.
   * @param nowMs `performance.now()`.
   * @param source size of the frames: more than they have is not asked for.
   */
  report(workMs: number, nowMs: number, source: Size): void {
    if (this.#skipped > 0) {
      this.#skipped -= 1;
      return;
    }
    this.#costsMs.push(workMs);
    if (this.#costsMs.length > UP_AFTER) this.#costsMs.shift();
    const costMs = median(this.#costsMs) ?? 0;
    if (this.#costsMs.length >= DOWN_AFTER && costMs > BUDGET_MS * 1.1 && this.#rung > 0) {
      if (this.#wentUp) this.#ceiling = { rung: this.#rung, untilMs: nowMs + PATIENCE_MS };
      this.#moveTo(this.#affordable(costMs), false);
      return;
    }
    const next = this.#rung + 1;
    const nextPx = RUNGS_PX[next];
    const isBlocked = this.#ceiling && next >= this.#ceiling.rung && nowMs < this.#ceiling.untilMs;
    if (
      nextPx !== undefined &&
      nextPx <= Math.min(source.width, source.height) * largestScale(source) &&
      !isBlocked &&
      this.#costsMs.length >= UP_AFTER &&
      this.#predictMs(costMs, next) < BUDGET_MS * 0.8
    ) {
      this.#moveTo(next, true);
    }
  }

  #predictMs(costMs: number, rung: number): number {
    return costMs * ((RUNGS_PX[rung] ?? START_PX) / this.sidePx) ** 2;
  }

  /** The largest rung below this one that fits the budget; the lowest if none does. */
  #affordable(costMs: number): number {
    let rung = this.#rung - 1;
    while (rung > 0 && this.#predictMs(costMs, rung) > BUDGET_MS * 0.95) rung -= 1;
    return rung;
  }

  #moveTo(rung: number, isUp: boolean): void {
    this.#rung = rung;
    this.#wentUp = isUp;
    this.#startLooking(1); // the first of a new size plans its memory
  }

  #startLooking(skipped: number): void {
    this.#costsMs = [];
    this.#skipped = skipped;
  }
}

/**
 * The size at which the network runs on frames of a source.
 *
 * @param source size of the frames.
 * @param sidePx wanted length of the shorter side; null for a still picture's.
 */
export function networkSize(source: Size, sidePx: number | null): Size {
  const short = Math.min(source.width, source.height);
  const scale = Math.min(largestScale(source), (sidePx ?? STILL_PX) / Math.max(1, short));
  const side = (length: number): number => Math.max(MIN_SIDE_PX, Math.round(length * scale));
  return { width: side(source.width), height: side(source.height) };
}

/** How far frames have to be scaled down at least; 1 if they need not. */
function largestScale({ width, height }: Size): number {
  return Math.min(1, Math.sqrt(LARGEST_AREA_PX / Math.max(1, width * height)));
}
