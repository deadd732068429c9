/** Fetching larger files: progress, and unpacking what is compressed. */

/** A file cannot be had; the message names it. */
export class DownloadError extends Error {}

/** Told the share that has arrived, 0..1. */
export type OnProgress = (share: number) => void;

const GZIP_MAGIC = [0x1f, 0x8b];

/**
 * Fetch a file of this site, unpacked.
 *
 * Whether it is compressed is told by its first bytes: some hosts unpack `.gz` on the way.
 *
 * @param signal ends it.
 * @throws DownloadError it cannot be had.
 */
export async function download(
  url: URL,
  onProgress: OnProgress,
  signal: AbortSignal | null = null,
): Promise<ArrayBuffer> {
  let response;
  const lost = (): never => {
    throw new DownloadError(`${fileName(url)} cannot be fetched: is the connection gone?`);
  };
  try {
    response = await fetch(url, { signal });
  } catch {
    return lost();
  }
  if (!response.ok || !response.body) {
    throw new DownloadError(
      `${fileName(url)} cannot be fetched: the server answered ${response.status}`,
    );
  }
  const total = Number(response.headers.get("Content-Length") ?? 0);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  const reader = response.body.getReader();
  const next = (): ReturnType<typeof reader.read> => reader.read().catch(lost);
  for (let part = await next(); !part.done; part = await next()) {
    parts.push(part.value);
    received += part.value.length;
    if (total > 0) onProgress(Math.min(1, received / total));
  }
  const blob = new Blob(parts);
  const start = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  if (GZIP_MAGIC.some((byte, index) => start[index] !== byte)) return blob.arrayBuffer();
  return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

function fileName(url: URL): string {
  return url.pathname.split("/").pop() ?? url.pathname;
}
