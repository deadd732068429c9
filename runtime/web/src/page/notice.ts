/** What the visitor has to know: a line over the picture, with buttons where there is a way on. */

export interface Action {
  readonly label: string;
  readonly run: () => void;
}

export class Notice {
  readonly #box: HTMLElement;
  readonly #status: HTMLElement;
  #timer = 0;
  #owner = "";

  /**
   * @param box for what stays until it is mended or closed; screen readers read it at once.
   * @param status for what passes; screen readers read it when there is a pause.
   */
  constructor(box: HTMLElement, status: HTMLElement) {
    this.#box = box;
    this.#status = status;
  }

  /**
   * Say what went wrong, until the visitor does something about it.
   *
   * @param owner who says it, and may take it back with `clear`.
   */
  trouble(text: string, actions: readonly Action[] = [], owner = ""): void {
    const words = document.createElement("p");
    words.textContent = text;
    const buttons = [...actions, { label: "Close", run: () => undefined }].map(({ label, run }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.addEventListener("click", () => {
        this.clear();
        run();
      });
      return button;
    });
    this.#owner = owner;
    this.#box.replaceChildren(words, ...buttons);
    this.#box.hidden = false;
  }

  /** The trouble is over: that of `owner`, or any. */
  clear(owner?: string): void {
    if (owner !== undefined && owner !== this.#owner) return;
    this.#box.hidden = true;
    this.#box.replaceChildren();
  }

  /** Say something by the way, for a moment. */
  say(text: string): void {
    this.#status.textContent = text;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.#status.textContent = "";
    }, 2500);
  }
}
