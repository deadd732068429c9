/** Buttons and sliders: they give commands, and show what is wanted. */

import type { Command, Wishes } from "./commands.ts";
import { element } from "./dom.ts";
import { commandForKey, KEY_HELP } from "./keys.ts";

type OnCommand = (command: Command) => void;

const BUTTONS: readonly (readonly [string, Command])[] = [
  ["pause", { name: "pause" }],
  ["colours", { name: "colours" }],
  ["mirror", { name: "mirror" }],
  ["split", { name: "split" }],
  ["snapshot", { name: "snapshot" }],
  ["record", { name: "record" }],
  ["fullscreen", { name: "fullscreen" }],
  ["help", { name: "help" }],
];

export class Controls {
  readonly #strength = element("strength", HTMLInputElement);
  readonly #strengthText = element("strength-text", HTMLOutputElement);
  readonly #edge = element("edge", HTMLInputElement);
  readonly #edgeRow = element("edge-row", HTMLElement);
  readonly #helpDialog = element("help-dialog", HTMLDialogElement);

  constructor(onCommand: OnCommand) {
    for (const [id, command] of BUTTONS) {
      element(id, HTMLButtonElement).addEventListener("click", () => {
        onCommand(command);
      });
    }
    this.#strength.addEventListener("input", () => {
      onCommand({ name: "strength", share: this.#strength.valueAsNumber / 100 });
    });
    this.#edge.addEventListener("input", () => {
      onCommand({ name: "edge", share: this.#edge.valueAsNumber / 100 });
    });
    document.addEventListener("keydown", (event) => {
      if (this.#helpDialog.open) return;
      const command = commandForKey({
        key: event.key,
        ctrlKey: event.ctrlKey,
        altKey: event.altKey,
        metaKey: event.metaKey,
        focus: focusOf(document.activeElement),
      });
      if (!command) return;
      event.preventDefault();
      onCommand(command);
    });
    this.#fillHelp();
  }

  /** Show what is wanted. */
  show(wishes: Wishes, isRecording: boolean): void {
    const { view } = wishes;
    press("pause", wishes.isPaused);
    press("colours", view.keepsColours);
    press("mirror", view.isMirrored);
    press("split", view.isSplit);
    press("record", isRecording);
    this.#strength.value = String(Math.round(view.strength * 100));
    this.#strengthText.value = `${Math.round(view.strength * 100)} %`;
    this.#edge.value = String(Math.round(view.edge * 100));
    this.#edgeRow.hidden = !view.isSplit;
  }

  showHelp(): void {
    this.#helpDialog.showModal();
  }

  #fillHelp(): void {
    const rows = KEY_HELP.map(([keys, meaning]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = keys;
      const cell = document.createElement("td");
      cell.textContent = meaning;
      row.append(head, cell);
      return row;
    });
    element("keys", HTMLTableSectionElement).replaceChildren(...rows);
  }
}

function press(id: string, isPressed: boolean): void {
  element(id, HTMLButtonElement).setAttribute("aria-pressed", String(isPressed));
}

function focusOf(focused: Element | null): string {
  return focused instanceof HTMLInputElement ? `INPUT ${focused.type}` : (focused?.tagName ?? "");
}
