/** The service worker, seen from the page. */

import type { Notice } from "./notice.ts";

/** What the session remembers: whether the page waited for its service worker. */
const WAITED = "edge-style waited";
const PATIENCE_MS = 8000;

/**
 * Keep the site for later, and get the page isolated where the host does not do it.
 *
 * Threads need headers that many static hosts cannot send. The service worker adds them, from the
 * second load on: so the page loads itself once more, before it has begun anything.
 *
 * @param endRecording what is to be done before a newer version is loaded.
 * @returns whether the page goes on; else it is about to load again.
 */
export async function keepOffline(
  isKept: boolean,
  notice: Notice,
  endRecording: () => Promise<void>,
): Promise<boolean> {
  // Types promise that it is there; pages that are not secure do not have it.
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (!workers) return true;
  if (!isKept) {
    // Another site may have been served at this address before.
    try {
      await (await workers.getRegistration())?.unregister();
    } catch {
      // Where storage is blocked there is none.
    }
    return true;
  }
  let registration;
  try {
    // Registering waits until a newer version that is on its way has been fetched: who has one
    // already begins with that.
    registration =
      (workers.controller && (await workers.getRegistration())) ??
      (await workers.register("sw.js", { updateViaCache: "none" }));
  } catch {
    return true; // some browsers have none in private windows
  }
  watchForUpdates(workers, registration, notice, endRecording);
  if (crossOriginIsolated || sessionStorage.getItem(WAITED) !== null) return true;
  const isIsolating = await isControlled(workers);
  sessionStorage.setItem(WAITED, "yes");
  if (!isIsolating) return true;
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
    for (const url of urls) {
      const response = await fetch(url);
      if (!response.ok) return false; // a host that is being brought up to date
      await response.arrayBuffer();
    }
    return await areKept(urls);
  } catch {
    return false;
  }
}

/** Whether the service worker, which nobody waits for, has put them away. */
async function areKept(urls: readonly string[]): Promise<boolean> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (const url of urls) {
    while (!(await caches.match(url, { ignoreVary: true }))) {
      if (performance.now() > untilMs) return false;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
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
    // One that does not get all files is given up: of a host that changes them, or is being brought
    // up to date.
    void workers.getRegistration().then((registration) => {
      const arriving = registration?.installing ?? registration?.waiting ?? registration?.active;
      if (!arriving) resolve(false);
      arriving?.addEventListener("statechange", () => {
        if (arriving.state === "redundant") resolve(false);
      });
    });
    setTimeout(() => {
      resolve(false);
    }, PATIENCE_MS);
  });
}

/**
 * Load the page again from its host, without a service worker, which the page then registers anew.
 *
 * For a browser that does not let the waiting version in: when is for it to say, and the visitor has
 * said yes. Without a connection the version that is kept stays.
 */
async function withoutWorker(registration: ServiceWorkerRegistration): Promise<void> {
  try {
    // Service workers answer GET alone, so this is the host's own answer.
    const { ok } = await fetch("./", { method: "HEAD" });
    if (ok) await registration.unregister();
  } catch {
    // no connection
  }
  location.reload();
}

/**
 * Offer a newer version of the site, instead of changing it under the visitor's hands.
 *
 * The browser looks for one whenever it likes: it may be on its way, or wait, before the page
 * listens, and another tab may have let it in by the time that this one's visitor says yes.
 */
function watchForUpdates(
  workers: ServiceWorkerContainer,
  registration: ServiceWorkerRegistration,
  notice: Notice,
  endRecording: () => Promise<void>,
): void {
  let isControlled = workers.controller !== null;
  let isWanted = false;
  const load = async (): Promise<void> => {
    await endRecording();
    isWanted = true;
    if (!registration.waiting) {
      location.reload();
      return;
    }
    registration.waiting.postMessage("take over");
    setTimeout(() => {
      void withoutWorker(registration);
    }, PATIENCE_MS);
  };
  const offer = (): void => {
    notice.trouble("There is a newer version of this page.", [
      { label: "Load it", run: () => void load() },
    ]);
  };
  workers.addEventListener("controllerchange", () => {
    if (isWanted) location.reload();
    // Another tab let it in: the files of the version that is shown here are gone.
    else if (isControlled) offer();
    isControlled = true; // the first one comes with the first visit, and is no newer than the page
  });
  const follow = (arriving: ServiceWorker | null): void => {
    arriving?.addEventListener("statechange", () => {
      if (arriving.state === "installed" && isControlled) offer();
    });
  };
  if (registration.waiting && isControlled) offer();
  follow(registration.installing);
  registration.addEventListener("updatefound", () => {
    follow(registration.installing);
  });
  // Browsers look after the page was loaded, some much later. Without a connection nothing is new.
  if (isControlled) registration.update().catch(() => undefined);
}
