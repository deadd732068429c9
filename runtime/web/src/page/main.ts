/** Starts the page, or says in plain words why it cannot start. */

import "./style.css";

import { parseManifest } from "../shared/manifest.ts";
import { readAddress } from "./address.ts";
import { App } from "./app.ts";
import { element } from "./dom.ts";
import { Notice } from "./notice.ts";
import { keepOffline } from "./offline.ts";
import { missingFeature } from "./words.ts";

async function start(): Promise<void> {
  const notice = new Notice(element("notice", HTMLElement), element("status", HTMLElement));
  const missing = missingFeature();
  if (missing) {
    notice.trouble(missing);
    return;
  }
  let app: App | null = null;
  try {
    const response = await fetch("styles.json");
    if (!response.ok) throw new Error(`styles.json: the server answered ${response.status}`);
    const manifest = parseManifest(await response.json());
    const endRecording = async (): Promise<void> => app?.endRecording();
    if (!(await keepOffline(manifest.isKeptOffline, notice, endRecording))) return;
    app = new App(manifest, readAddress(location.search), notice);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    notice.trouble(`The page could not be loaded completely: ${reason}`, [
      {
        label: "Load it again",
        run: () => {
          location.reload();
        },
      },
    ]);
  }
}

void start();
