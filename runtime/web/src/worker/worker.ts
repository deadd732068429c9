/** The worker: frames in, pictures out, one message after another; files are fetched meanwhile. */

import type { FromWorker, StyleRequest, ToWorker } from "../shared/messages.ts";
import { styleWeights } from "../shared/siblings.ts";
import type { View } from "../shared/view.ts";
import { audition } from "./audition.ts";
import { Easel } from "./easel.ts";
import type { Network } from "./network.ts";
import { messageOf, Studio } from "./studio.ts";

declare const self: DedicatedWorkerGlobalScope;

let studio: Studio | null = null;
let network: Network | null = null;
let style: StyleRequest | null = null;
/** What painted the picture on the easel. */
let painted = { id: "", blend: 0 };
let easel: Easel | null = null;
/** Ends the choice of a style that is under way. */
let choosing = new AbortController();

function say(message: FromWorker, transfer: Transferable[] = []): void {
  self.postMessage(message, transfer);
}

async function obey(message: Exclude<ToWorker, { kind: "style" | "audition" }>): Promise<void> {
  switch (message.kind) {
    case "start":
      easel = new Easel();
      studio = new Studio({
        ...message,
        onProgress: (what, share) => {
          say({ kind: "loading", what, share });
        },
      });
      break;
    case "frame":
      await stylize(message);
      break;
    case "again":
      await repeat(message);
      break;
  }
}

/** Frames go on while its file is fetched. A newer choice overtakes it. */
async function choose(wanted: StyleRequest): Promise<void> {
  choosing.abort();
  choosing = new AbortController();
  const { signal } = choosing;
  try {
    const fetched = await studio?.fetch(wanted, signal);
    await inTurn(async () => {
      if (!signal.aborted && studio) adopt(await studio.open(wanted, fetched), wanted);
    });
  } catch (error) {
    if (signal.aborted) return;
    say({ kind: "style-failed", id: wanted.id, reason: messageOf(error) });
  }
}

/** Here, too, frames and all else go on while files are fetched. */
async function tryOut({
  styles,
  sample,
  reading,
}: Extract<ToWorker, { kind: "audition" }>): Promise<void> {
  const id = styles[0]?.id ?? "";
  try {
    const [first] = styles;
    const tried = studio;
    if (!tried || !first) throw new Error("no audition before the start");
    const reader = reading ? await tried.fetchReader(reading) : null;
    const fetched = await tried.fetch(first);
    await inTurn(async () => {
      const code = reading ? await tried.read(reading, reader) : null;
      const coded = styles.map((each) => ({ ...each, code }));
      const thumbnails = await audition(tried, coded, sample, fetched, (share) => {
        say({ kind: "loading", what: "style", share });
      });
      say({ kind: "auditioned", id, thumbnails, code });
    });
  } catch (error) {
    say({ kind: "refused", id, reason: messageOf(error) });
  } finally {
    sample.close(); // pictures from phones are large
    reading?.picture.close();
  }
}

function adopt(opened: Network, wanted: StyleRequest): void {
  network = opened;
  style = wanted;
  say({
    kind: "style",
    id: wanted.id,
    backend: opened.engine.backend,
    threads: opened.engine.threads,
    engineUrl: opened.engine.url,
    url: opened.file.url,
    precision: opened.file.precision,
    note: studio?.note ?? "",
  });
}

async function stylize(message: Extract<ToWorker, { kind: "frame" }>): Promise<void> {
  const startMs = performance.now();
  try {
    if (!easel) throw new Error("no frames before the start");
    easel.take(message.frame, message.size);
  } finally {
    message.frame.close(); // cameras have few buffers: they stop when frames are held
  }
  const inferMs = await paint(message.view.blend);
  show(message, inferMs, startMs, message.capturedMs);
}

/** Show the last frame once more; the network runs only if another style or blend painted it. */
async function repeat(message: Extract<ToWorker, { kind: "again" }>): Promise<void> {
  const startMs = performance.now();
  const { blend } = message.view;
  const isPainted = painted.id === style?.id && painted.blend === blend;
  const inferMs = isPainted ? null : await paint(blend);
  show(message, inferMs, startMs, null);
}

function show(
  { view, wish }: { readonly view: View; readonly wish: number },
  inferMs: number | null,
  startMs: number,
  capturedMs: number | null,
): void {
  if (!easel) return;
  const picture = easel.show(view);
  const workMs = performance.now() - startMs;
  say({ kind: "picture", picture, id: painted.id, wish, inferMs, workMs, capturedMs }, [picture]);
}

/** Run the network on what is on the easel. Returns the time that it took, in ms. */
async function paint(blend: number): Promise<number> {
  if (!easel || !network || !style || !studio) throw new Error("no style yet");
  const rgb = easel.frameRgb();
  const { size } = easel;
  const weights = styleWeights(style, blend);
  let picture;
  let startMs = performance.now();
  try {
    picture = await network.run(rgb, size, weights);
  } catch (error) {
    adopt(await studio.recover(network, style, error), style);
    startMs = performance.now();
    picture = await network.run(rgb, size, weights);
  }
  const inferMs = performance.now() - startMs;
  easel.paint(picture);
  painted = { id: style.id, blend };
  return inferMs;
}

let last = Promise.resolve();

/** One after the other: a session must not run twice at a time, and frames keep their order. */
function inTurn(task: () => Promise<void>): Promise<void> {
  const done = last.then(task);
  last = done.catch(() => undefined);
  return done;
}

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === "style") {
    void choose(data.style);
    return;
  }
  if (data.kind === "audition") {
    void tryOut(data);
    return;
  }
  inTurn(() => obey(data)).catch((error: unknown) => {
    const kind = data.kind === "start" ? "failed" : "frame-failed";
    say({ kind, reason: messageOf(error) });
  });
});
