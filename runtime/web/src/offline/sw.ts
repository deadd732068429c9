/**
 * The service worker: the site works without a connection after the first visit, and threads work
 * on hosts that cannot send the isolation headers, because it adds them itself.
 *
 * `edge-style web build` writes the site's version and files into it, so that a changed site is a
 * changed worker. It imports nothing: browsers load it as a plain script.
 */

export {};

declare const self: ServiceWorkerGlobalScope;

interface Site {
  readonly version: string;
  /**
   * What the page needs to start, and the checksum of each; engine and models are kept when they
   * are first fetched.
   */
  readonly files: Readonly<Record<string, string>>;
}

const site = JSON.parse("@edge-style-site@") as Site;
const prefix = `edge-style ${self.registration.scope} `;
const cacheName = prefix + site.version;

/** Folders of what is too large to fetch before anybody asks for it, and of what is versioned. */
const KEPT_WHEN_USED = /^(assets|engine|models|thumbnails)\//;

const ISOLATION: readonly (readonly [string, string])[] = [
  ["Cross-Origin-Opener-Policy", "same-origin"],
  ["Cross-Origin-Embedder-Policy", "require-corp"],
  ["Cross-Origin-Resource-Policy", "same-origin"],
];

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(cacheName);
      // Past the browser's own cache, which may hold files of an older version. A host that is
      // being brought up to date may send them too: with a file that is not this version's nothing
      // is kept, the version before goes on, and the next visit tries again.
      const requests = Object.entries(site.files).map(
        ([file, integrity]) => new Request(file, { cache: "reload", integrity }),
      );
      await cache.addAll(requests);
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith(prefix) && name !== cacheName) await caches.delete(name);
      }
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") void self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && isOfThisSite(request)) event.respondWith(answer(event));
});

/** Whether this site answers: other pages and files of the same host may lie beside it. */
function isOfThisSite({ url, mode }: Request): boolean {
  const { scope } = self.registration;
  if (!url.startsWith(scope)) return false;
  const [file = ""] = url.slice(scope.length).split(/[?#]/);
  if (mode === "navigate") return file === "" || file === "index.html";
  return Object.hasOwn(site.files, file) || KEPT_WHEN_USED.test(file);
}

async function answer(event: FetchEvent): Promise<Response> {
  const { request } = event;
  const cache = await caches.open(cacheName);
  const key = request.mode === "navigate" ? self.registration.scope : request.url;
  const kept = await cache.match(key, { ignoreVary: true });
  if (kept) return isolated(kept);
  const response = await fetch(request);
  if (response.status === 200 && response.type === "basic") {
    // Nobody waits for it, and where there is no room for it the page works all the same.
    event.waitUntil(cache.put(key, response.clone()).catch(() => undefined));
  }
  return isolated(response);
}

function isolated(response: Response): Response {
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of ISOLATION) headers.set(name, value);
  return new Response(response.body, {
    status: response.status,
    statusText: response.statusText,
    headers,
  });
}
