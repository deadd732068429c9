/** What a player does next: one frame in work at a time, always the newest, and wishes in order. */

/** Work to hand out: a new frame, or the last one painted anew. Its `wish` comes back with it. */
export type Turn =
  | { readonly kind: "frame"; readonly capturedMs: number; readonly wish: number }
  | { readonly kind: "again"; readonly wish: number };

export class Schedule {
  #isPaused = false;
  #isBusy = false;
  /** When the newest frame that nobody has asked for yet was captured. */
  #newestMs: number | null = null;
  #wantsAgain = false;
  /** Wishes are numbered, so that one can tell when the picture obeys the last. */
  #asked = 0;
  #answered = 0;
  #hasPicture = false;

  /** Whether the picture that is shown is what was wished for last. */
  get isSettled(): boolean {
    return this.#answered === this.#asked;
  }

  /** The source has a frame. */
  captured(capturedMs: number): void {
    this.#newestMs = capturedMs;
  }

  /** Something was wished for that the next frame will show. */
  wish(): void {
    this.#asked += 1;
  }

  /** Something was wished for that the frame on show can show at once. */
  wishAgain(): void {
    this.#asked += 1;
    this.#wantsAgain = true;
  }

  /** Pause, or go on: while paused, only what is on show is painted, and anew. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.wishAgain();
  }

  /**
   * What to do now, null for nothing; it is in work until `finished` or `lost`.
   * @param isStill - the source is a picture, which has no next frame
   */
  take(isStill: boolean): Turn | null {
    if (this.#isBusy) return null;
    const wish = this.#asked;
    const isWaiting = this.#isPaused && this.#hasPicture;
    if (this.#newestMs !== null && !isWaiting) {
      const capturedMs = this.#newestMs;
      this.#newestMs = null;
      this.#wantsAgain = false;
      this.#isBusy = true;
      return { kind: "frame", capturedMs, wish };
    }
    if (this.#wantsAgain && this.#hasPicture && (isWaiting || isStill)) {
      this.#wantsAgain = false;
      this.#isBusy = true;
      return { kind: "again", wish };
    }
    return null;
  }

  /** The picture of a turn is shown. */
  finished(wish: number): void {
    this.#isBusy = false;
    this.#hasPicture = true;
    this.#answered = wish;
  }

  /** Nothing came of a turn. */
  lost(): void {
    this.#isBusy = false;
  }
}
