/** The page: commands change what is wanted, and everything follows. */

import { chooseFile, type Manifest, type Style } from "../shared/manifest.ts";
import type { FromWorker } from "../shared/messages.ts";
import type { Source } from "../sources/source.ts";
import type { Address } from "./address.ts";
import { requestOf } from "./audition.ts";
import { type Command, FIRST_WISHES, obey, titleOf, type Wishes } from "./commands.ts";
import { Controls } from "./controls.ts";
import { element } from "./dom.ts";
import { figuresText } from "./figures.ts";
import { FileDesk } from "./file-desk.ts";
import { toggleFullScreen, watchFullScreen } from "./full-screen.ts";
import { Gallery } from "./gallery.ts";
import { Keeper } from "./keeper.ts";
import { Notice } from "./notice.ts";
import { keepFiles } from "./offline.ts";
import { Player, type Shown } from "./player.ts";
import { SourceDesk } from "./source-desk.ts";
import { watchTouch } from "./swipe.ts";
import { threadCount } from "./threads.ts";
import { Turns } from "./turns.ts";

type Ready = Extract<FromWorker, { kind: "style" }>;

const FIGURES_EVERY_MS = 500;

export class App {
  readonly #manifest: Manifest;
  readonly #styles: Style[] = [];
  readonly #stage = element("stage", HTMLElement);
  readonly #canvas = element("picture", HTMLCanvasElement);
  readonly #figures = element("figures", HTMLElement);
  readonly #progress = element("progress", HTMLProgressElement);
  readonly #notice: Notice;
  readonly #worker: Worker;
  readonly #player: Player;
  readonly #desk: SourceDesk;
  readonly #gallery: Gallery;
  readonly #controls: Controls;
  readonly #keeper: Keeper;
  readonly #turns: Turns;
  #wishes: Wishes = FIRST_WISHES;
  #ready: Ready | null = null;
  #shown: Shown | null = null;
  #frames = 0;
  /** Until the visitor shows something. */
  #isWelcome = true;

  constructor(manifest: Manifest, address: Address, notice: Notice) {
    this.#manifest = manifest;
    this.#notice = notice;
    this.#worker = new Worker(new URL("../worker/worker.ts", import.meta.url), { type: "module" });
    this.#worker.addEventListener("message", (event: MessageEvent<FromWorker>) => {
      this.#hear(event.data);
    });
    this.#worker.addEventListener("error", () => {
      this.#fail("the part that runs the network did not load");
    });
    this.#worker.postMessage({
      kind: "start",
      site: new URL(".", document.baseURI).href,
      backend: address.backend,
      threads: threadCount(navigator.hardwareConcurrency, crossOriginIsolated),
      preferences: manifest.preferences,
    });
    this.#player = new Player({
      worker: this.#worker,
      canvas: this.#canvas,
      onShown: (shown) => {
        this.#onShown(shown);
      },
    });
    this.#gallery = new Gallery(
      element("gallery", HTMLElement),
      element("open-style", HTMLButtonElement),
      (number) => {
        this.#obey({ name: "style", number });
      },
    );
    this.#controls = new Controls((command) => {
      this.#obey(command);
    });
    this.#keeper = new Keeper({
      canvas: this.#canvas,
      notice,
      title: () => this.#styles[this.#wishes.style]?.painting ?? "picture",
      onRecording: (isRecording) => {
        this.#player.holdSize(isRecording);
        this.#showWishes();
      },
    });
    this.#desk = new SourceDesk({
      notice,
      onFrame: this.#player.onFrame,
      onOpened: (source) => {
        this.#onOpened(source);
      },
    });
    new FileDesk({
      notice,
      worker: this.#worker,
      sources: this.#desk,
      anyStyle: manifest.anyStyle,
      onStyles: (styles) => {
        const numbers = styles.map((style) => this.#addStyle(style));
        this.#obey({ name: "style", number: numbers[0] ?? 0 });
      },
    });
    this.#turns = new Turns(address.everySeconds, () => {
      const number = this.#turns.next(this.#wishes.style, this.#styles);
      if (number === null) this.#turns.begin();
      else this.#obey({ name: "style", number });
    });
    this.#watch(address);
    for (const style of manifest.styles) this.#addStyle(style);
    const first = manifest.styles.findIndex(({ id }) => id === address.style);
    this.#wish({ ...this.#wishes, style: Math.max(0, first) });
    this.#requestStyle();
    void this.#desk.openSample();
  }

  /** Before the page is left: what was recorded is saved. */
  async endRecording(): Promise<void> {
    await this.#keeper.endRecording();
  }

  /** What the visitor can do beside buttons, keys and files. */
  #watch(address: Address): void {
    const side = element("side", HTMLSelectElement);
    const asked = address.sidePx === null ? "auto" : String(address.sidePx);
    if (![...side.options].some(({ value }) => value === asked)) side.add(new Option(asked, asked));
    side.value = asked;
    this.#player.setSide(address.sidePx);
    side.addEventListener("change", () => {
      this.#player.setSide(side.value === "auto" ? null : Number(side.value));
      this.#stage.dataset.settled = String(this.#player.isSettled);
    });
    watchFullScreen(this.#stage);
    watchTouch(this.#canvas, {
      isSplit: () => this.#wishes.view.isSplit,
      onSwipe: (direction) => {
        this.#obey({ name: direction });
      },
      onDrag: (share) => {
        this.#obey({ name: "edge", share });
      },
    });
    setInterval(() => {
      this.#showFigures();
    }, FIGURES_EVERY_MS);
  }

  #obey(command: Command): void {
    switch (command.name) {
      case "snapshot":
        if (this.#shown) void this.#keeper.saveSnapshot();
        break;
      case "record":
        if (this.#shown) void this.#keeper.toggleRecording();
        break;
      case "fullscreen":
        void toggleFullScreen(this.#stage);
        break;
      case "help":
        this.#controls.showHelp();
        break;
      default:
        this.#wish(obey(this.#wishes, command, this.#styles));
    }
  }

  /** Make what is wanted so. */
  #wish(wishes: Wishes): void {
    const before = this.#wishes;
    this.#wishes = wishes;
    if (wishes.isPaused !== before.isPaused) this.#player.setPaused(wishes.isPaused);
    if (wishes.style !== before.style) this.#requestStyle();
    // A style's turn begins when it has come, or slow connections would never see one.
    if (wishes.isPaused || wishes.style !== before.style) this.#turns.stop();
    else if (before.isPaused) this.#turns.begin();
    this.#player.setView(wishes.view);
    this.#showWishes();
    this.#gallery.mark(wishes.style);
    this.#stage.dataset.paused = String(wishes.isPaused);
    this.#stage.dataset.settled = String(this.#player.isSettled);
  }

  #showWishes(): void {
    const title = titleOf(this.#wishes, this.#styles);
    element("caption", HTMLElement).textContent = title;
    this.#canvas.setAttribute("aria-label", `Live picture, painted as ${title}`);
    this.#controls.show(this.#wishes, this.#styles, this.#keeper.isRecording);
  }

  #requestStyle(): void {
    const style = this.#styles[this.#wishes.style];
    if (!style) return;
    this.#notice.say(titleOf(this.#wishes, this.#styles));
    this.#player.requestStyle(requestOf(style));
  }

  #addStyle(style: Style): number {
    this.#gallery.add(style);
    return this.#styles.push(style) - 1;
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case "loading":
        this.#progress.hidden = message.share >= 1;
        this.#progress.value = message.share;
        break;
      case "style":
        this.#onReady(message);
        break;
      case "picture":
        this.#player.show(message);
        break;
      case "style-failed":
        this.#progress.hidden = true;
        this.#styleFailed(message.id, message.reason);
        break;
      case "frame-failed":
        this.#player.frameFailed();
        this.#notice.say(`A frame was lost: ${message.reason}`);
        break;
      case "failed":
        this.#fail(message.reason);
        break;
      case "auditioned":
      case "refused":
        this.#progress.hidden = true;
        break;
    }
  }

  #onReady(ready: Ready): void {
    const isFirst = this.#ready === null;
    this.#ready = ready;
    this.#progress.hidden = true;
    this.#notice.clear("style");
    this.#stage.dataset.backend = ready.backend;
    this.#stage.dataset.file = ready.url;
    this.#stage.title = ready.note;
    this.#player.styleIsReady();
    this.#turns.note(ready.id, true);
    if (!this.#wishes.isPaused) this.#turns.begin();
    if (isFirst && this.#manifest.isKeptOffline) void this.#keepFiles(ready);
  }

  /** The engine and all styles, in the kind that this device runs, for times without a connection. */
  async #keepFiles({ precision, engineUrl, backend }: Ready): Promise<void> {
    const files = this.#manifest.styles.map(
      ({ files }) => files.find((file) => file.precision === precision) ?? files[0],
    );
    const { anyStyle, preferences } = this.#manifest;
    if (anyStyle) {
      const order = [precision, ...preferences[backend]];
      files.push(chooseFile(anyStyle.files, order) ?? undefined);
      files.push(chooseFile(anyStyle.encoders, preferences.wasm) ?? undefined);
    }
    const urls = files.flatMap((file) => (file ? [file.url] : []));
    this.#stage.dataset.kept = String(await keepFiles([engineUrl, ...urls]));
  }

  #styleFailed(id: string, reason: string): void {
    const failed = this.#wishes.style;
    this.#turns.note(id, false);
    if (this.#styles[failed]?.id !== id) return;
    if (!this.#wishes.isPaused) this.#turns.begin();
    const before = this.#styles.findIndex((style) => style.id === this.#ready?.id);
    const retry = (): void => {
      if (this.#wishes.style === failed) this.#requestStyle();
      else this.#obey({ name: "style", number: failed });
    };
    const actions = [{ label: "Try again", run: retry }];
    this.#notice.trouble(`This style cannot be used: ${reason}`, actions, "style");
    // The gallery shows what is being painted, not what was hoped for.
    if (before >= 0) {
      this.#wishes = obey(this.#wishes, { name: "style", number: before }, this.#styles);
      this.#showWishes();
      this.#gallery.mark(before);
    }
  }

  #fail(reason: string): void {
    this.#progress.hidden = true;
    this.#notice.trouble(`The page cannot work here: ${reason}.`, [
      {
        label: "Load it again",
        run: () => {
          void this.endRecording().then(() => {
            location.reload();
          });
        },
      },
    ]);
  }

  #onOpened(source: Source): void {
    this.#stage.dataset.source = source.kind;
    element("welcome", HTMLElement).hidden = source.kind !== "sample";
    element("use-camera", HTMLElement).hidden = source.kind === "camera";
    this.#player.setSource(source);
    // The sample is half camera, half painting, so that one sees at once what the page does.
    const isWelcome: boolean = this.#isWelcome && source.kind === "sample";
    const isSplit = isWelcome || (this.#wishes.view.isSplit && !this.#isWelcome);
    this.#isWelcome = isWelcome;
    const view = { ...this.#wishes.view, isMirrored: source.isSelfie, isSplit };
    this.#wish({ ...this.#wishes, view, isPaused: false });
  }

  #onShown(shown: Shown): void {
    this.#shown = shown;
    this.#frames += 1;
    this.#stage.dataset.frames = String(this.#frames);
    this.#stage.dataset.style = shown.id;
    this.#stage.dataset.settled = String(this.#player.isSettled);
    this.#stage.dataset.inferMs = String(shown.inferMs ?? "");
  }

  #showFigures(): void {
    const { meter, source } = this.#player;
    const isMoving = !this.#wishes.isPaused && source !== null && !source.isStill;
    this.#figures.textContent = figuresText({
      fps: isMoving ? meter.fps : null,
      latencyMs: isMoving ? meter.latencyMs : (this.#shown?.inferMs ?? null),
      size: this.#shown?.size ?? null,
      backend: this.#ready?.backend ?? null,
      threads: this.#ready?.threads ?? 1,
      precision: this.#ready?.precision ?? "",
    });
    this.#stage.dataset.fps = isMoving ? (meter.fps?.toFixed(2) ?? "") : "";
  }
}
