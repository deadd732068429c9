/** Starts the page, or says in plain words why it cannot start. */

import "./style.css";

import { parseManifest } from "../shared/manifest.ts";
import { readAddress } from "./address.ts";
import { App } from "./app.ts";
import { element } from "./dom.ts";
import { Notice } from "./notice.ts";
import { keepOffline } from "./offline.ts";
import { missingFeature, reasonOf } from "./words.ts";

async function start(): Promise<void> {
  const status = element("status", HTMLElement);
  const notice = new Notice(element("notice", HTMLElement), status);
  const missing = missingFeature();
  if (missing) {
    notice.trouble(missing);
    document.body.inert = false;
    return;
  }
  let app: App | null = null;
  status.textContent = "Loading";
  try {
    const response = await fetch("styles.json");
    if (!response.ok) throw new Error(`styles.json: the server answered ${response.status}`);
    const manifest = parseManifest(await response.json());
    const endRecording = async (): Promise<void> => app?.endRecording();
    if (!(await keepOffline(manifest.isKeptOffline, notice, endRecording))) return;
    app = new App(manifest, readAddress(location.search), notice);
  } catch (error) {
    status.textContent = "";
    notice.trouble(`The page could not be loaded completely: ${reasonOf(error)}`, [
      {
        label: "Load it again",
        run: () => {
          location.reload();
        },
      },
    ]);
  }
  document.body.inert = false;
}

void start();
