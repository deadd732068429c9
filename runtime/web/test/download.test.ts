import { afterEach, describe, expect, it, vi } from "vitest";

import { download, DownloadError } from "../src/worker/download.ts";

const FILE = new URL("https://example.org/models/starry.onnx");

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a connection that is lost", () => {
  it("names the file, also where some of it had come", async () => {
    let sent = false;
    const body = new ReadableStream({
      pull(stream) {
        if (sent) stream.error(new TypeError("network error"));
        else stream.enqueue(new Uint8Array(9));
        sent = true;
      },
    });
    vi.stubGlobal("fetch", () => Promise.resolve(new Response(body)));
    const fetched = download(FILE, () => undefined);
    await expect(fetched).rejects.toThrow(DownloadError);
    await expect(fetched).rejects.toThrow("starry.onnx cannot be fetched");
  });

  it("names it where nothing came", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(download(FILE, () => undefined)).rejects.toThrow("starry.onnx cannot be fetched");
  });
});
