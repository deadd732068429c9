/** The service worker, seen from the page. */

import type { Notice } from "./notice.ts";

const RELOADED = "edge-style reloaded";
const PATIENCE_MS = 8000;

/**
 * Keep the site for later, and get the page isolated where the host does not do it.
 *
 * Threads need headers that many static hosts cannot send. The service worker adds them, from the
 * second load on: so the page loads itself once more, before it has begun anything.
 *
 * @returns whether the page goes on; else it is about to load again.
 */
export async function keepOffline(isKept: boolean, notice: Notice): Promise<boolean> {
  // Types promise that it is there; pages that are not secure do not have it.
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (!workers) return true;
  if (!isKept) {
    // Another site may have been served at this address before.
    await (await workers.getRegistration())?.unregister();
    return true;
  }
  let registration;
  try {
    registration = await workers.register("sw.js", { updateViaCache: "none" });
  } catch {
    return true; // some browsers have none in private windows
  }
  watchForUpdates(workers, registration, notice);
  if (crossOriginIsolated || sessionStorage.getItem(RELOADED) !== null) return true;
  if (!(await isControlled(workers))) return true;
  sessionStorage.setItem(RELOADED, "yes");
  location.reload();
  return false;
}

/**
 * Fetch files through the service worker, one by one, so that it keeps them.
 *
 * @returns whether all are kept; if not, the next visit goes on.
 */
export async function keepFiles(urls: readonly string[]): Promise<boolean> {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (!workers || !(await isControlled(workers))) return false;
  try {
    for (const url of urls) await (await fetch(url)).arrayBuffer();
  } catch {
    return false;
  }
  return true;
}

async function isControlled(workers: ServiceWorkerContainer): Promise<boolean> {
  if (workers.controller) return true;
  return new Promise((resolve) => {
    workers.addEventListener(
      "controllerchange",
      () => {
        resolve(true);
      },
      { once: true },
    );
    setTimeout(() => {
      resolve(false);
    }, PATIENCE_MS);
  });
}

/** Offer a newer version of the site, instead of changing it under the visitor's hands. */
function watchForUpdates(
  workers: ServiceWorkerContainer,
  registration: ServiceWorkerRegistration,
  notice: Notice,
): void {
  const offer = (waiting: ServiceWorker): void => {
    notice.trouble("There is a newer version of this page.", [
      {
        label: "Load it",
        run: () => {
          workers.addEventListener(
            "controllerchange",
            () => {
              location.reload();
            },
            { once: true },
          );
          waiting.postMessage("take over");
        },
      },
    ]);
  };
  if (registration.waiting && workers.controller) offer(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const arriving = registration.installing;
    arriving?.addEventListener("statechange", () => {
      if (arriving.state === "installed" && workers.controller) offer(arriving);
    });
  });
}
