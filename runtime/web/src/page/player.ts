/** Between source, worker and canvas: one frame at a time, always the newest. */

import type { FromWorker, Size, StyleRequest, ToWorker } from "../shared/messages.ts";
import type { View } from "../shared/view.ts";
import type { OnFrame, Source } from "../sources/source.ts";
import { Meter } from "./meter.ts";
import { networkSize, Pace } from "./pace.ts";
import { Schedule } from "./schedule.ts";

type Picture = Extract<FromWorker, { kind: "picture" }>;

/** What the player tells of one picture that was shown. */
export interface Shown {
  readonly size: Size;
  readonly id: string;
  readonly inferMs: number | null;
}

export interface PlayerOptions {
  readonly worker: Worker;
  readonly canvas: HTMLCanvasElement;
  readonly onShown: (shown: Shown) => void;
}

export class Player {
  readonly meter = new Meter();
  readonly #pace = new Pace();
  readonly #schedule = new Schedule();
  readonly #options: PlayerOptions;
  readonly #context: CanvasRenderingContext2D;
  #source: Source | null = null;
  #view: View | null = null;
  #hasStyle = false;
  /** Of the shorter side, as the visitor chose it; null: what holds the frame rate. */
  #sidePx: number | null = null;
  #sent: Size = { width: 0, height: 0 };
  #recordedSize: Size | null = null;

  constructor(options: PlayerOptions) {
    this.#options = options;
    const context = options.canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser gives no canvas");
    this.#context = context;
  }

  /** To be given to sources. */
  readonly onFrame: OnFrame = (capturedMs) => {
    this.#schedule.captured(capturedMs);
    this.#pump();
  };

  /** Show another source; the one before is closed. */
  setSource(source: Source): void {
    this.#source?.close();
    this.#source = source;
    this.meter.reset();
    this.#schedule.wish();
    this.#schedule.captured(performance.now()); // its first frame is there, or nobody could have opened it
    this.#pump();
  }

  /** Whether the picture that is shown is what was wished for last. */
  get isSettled(): boolean {
    return this.#schedule.isSettled;
  }

  get source(): Source | null {
    return this.#source;
  }

  setView(view: View): void {
    this.#view = view;
    this.#again();
  }

  setPaused(isPaused: boolean): void {
    this.meter.reset();
    this.#schedule.pause(isPaused);
    this.#pump();
  }

  /** The shorter side in pixels at which the network runs; null: what holds the frame rate. */
  setSide(sidePx: number | null): void {
    this.#sidePx = sidePx;
    this.#schedule.wish();
    if (this.#source?.isStill) this.#schedule.captured(performance.now());
    this.#pump();
  }

  /** Ask for a style; what is shown stays until it is there. */
  requestStyle(style: StyleRequest): void {
    this.#send({ kind: "style", style });
  }

  /** The worker has another style ready. */
  styleIsReady(): void {
    this.#hasStyle = true;
    this.#pace.reset();
    this.meter.reset();
    this.#again();
  }

  /** Keep the canvas at its size while it is recorded: few recorders follow a change. */
  holdSize(isHeld: boolean): void {
    const { width, height } = this.#options.canvas;
    this.#recordedSize = isHeld ? { width, height } : null;
  }

  /** A picture came back. */
  show(message: Picture): void {
    const { canvas, onShown } = this.#options;
    const { picture } = message;
    const size = { width: picture.width, height: picture.height };
    const target = this.#recordedSize ?? size;
    if (canvas.width !== target.width || canvas.height !== target.height) {
      canvas.width = target.width;
      canvas.height = target.height;
    }
    // A recording's frames stay as large as the first: others are fitted in.
    const scale = Math.min(target.width / size.width, target.height / size.height);
    const [width, height] = [size.width * scale, size.height * scale];
    const [left, top] = [(target.width - width) / 2, (target.height - height) / 2];
    if (left > 0 || top > 0) this.#context.fillRect(0, 0, target.width, target.height);
    this.#context.drawImage(picture, left, top, width, height);
    picture.close();
    this.#schedule.finished(message.wish);
    const nowMs = performance.now();
    if (message.capturedMs !== null) {
      this.meter.add(message.capturedMs, nowMs);
      this.#adapt(message.workMs, size, nowMs);
    }
    onShown({ size, id: message.id, inferMs: message.inferMs });
    this.#pump();
  }

  /** The worker lost a frame. */
  frameFailed(): void {
    this.#schedule.lost();
    this.#pump();
  }

  #adapt(workMs: number, size: Size, nowMs: number): void {
    const source = this.#source;
    if (!source || source.isStill || this.#sidePx !== null) return;
    if (size.width !== this.#sent.width || size.height !== this.#sent.height) return;
    this.#pace.report(workMs, nowMs, source.size);
  }

  #again(): void {
    this.#schedule.wishAgain();
    this.#pump();
  }

  /** Send something to the worker, if it has nothing to do and there is something new. */
  #pump(): void {
    const source = this.#source;
    const view = this.#view;
    if (!source || !view || !this.#hasStyle) return;
    const turn = this.#schedule.take(source.isStill);
    if (turn?.kind === "again") this.#send({ kind: "again", view, wish: turn.wish });
    else if (turn) void this.#sendFrame(source, view, turn.capturedMs, turn.wish);
  }

  async #sendFrame(source: Source, view: View, capturedMs: number, wish: number): Promise<void> {
    let frame;
    try {
      frame = await source.grab();
    } catch {
      this.#schedule.lost(); // a source that was just closed, or is between two frames
      return;
    }
    const sidePx = this.#sidePx ?? (source.isStill ? null : this.#pace.sidePx);
    this.#sent = networkSize(source.size, sidePx);
    this.#send({ kind: "frame", frame, size: this.#sent, view, wish, capturedMs }, [frame]);
  }

  #send(message: ToWorker, transfer: Transferable[] = []): void {
    this.#options.worker.postMessage(message, transfer);
  }
}
