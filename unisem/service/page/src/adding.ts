/** The dialog that adds pictures with captions, or a text, to a space. */

import type { Api } from "./api.js";
import { make, part } from "./dom.js";
import { Problem } from "./problem.js";
import { dataOf, picturesIn } from "./query_picture.js";
import type { NewRecord } from "./wire.js";

const MOST = 16; // pictures at once: as many as the service takes, if nobody changed that

interface Offered {
  readonly file: File;
  readonly caption: HTMLInputElement;
  readonly row: HTMLElement;
}

export class Adding {
  private readonly dialog = part("adding", HTMLDialogElement);
  private readonly files = part("adding-files", HTMLInputElement);
  private readonly zone = part("adding-zone", HTMLElement);
  private readonly list = part("adding-list", HTMLElement);
  private readonly text = part("adding-text", HTMLTextAreaElement);
  private readonly problem = part("adding-problem", HTMLElement);
  private readonly send = part("adding-send", HTMLButtonElement);
  private offered: Offered[] = [];
  private space = "";

  /** @param added What to do with the ids of what was added. */
  constructor(
    private readonly api: Api,
    private readonly added: (ids: readonly string[]) => void,
  ) {
    this.files.addEventListener("change", () => {
      this.offer([...(this.files.files ?? [])]);
      this.files.value = "";
    });
    this.zone.addEventListener("dragover", (event) => event.preventDefault());
    this.dialog.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.offer(picturesIn(event.dataTransfer));
    });
    this.text.addEventListener("input", () => this.allow());
    part("adding-cancel", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
    part("adding-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
  }

  get isOpen(): boolean {
    return this.dialog.open;
  }

  open(space: string): void {
    this.space = space;
    this.offered = [];
    this.list.replaceChildren();
    this.text.value = "";
    this.tell(null);
    this.allow();
    part("adding-space", HTMLElement).textContent = space;
    this.dialog.showModal();
  }

  private offer(files: readonly File[]): void {
    const taken = files.slice(0, Math.max(0, MOST - this.offered.length));
    for (const file of taken) this.list.append(this.row(file));
    this.tell(taken.length < files.length ? `At most ${MOST} pictures at once.` : null);
    this.allow();
  }

  private row(file: File): HTMLElement {
    const image = make("img", { alt: "" });
    image.src = URL.createObjectURL(file);
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    const caption = make("input", {
      type: "text",
      dir: "auto",
      placeholder: "What it shows (optional)",
      "aria-label": `Caption of ${file.name}`,
    });
    const remove = make(
      "button",
      { type: "button", class: "quiet", "aria-label": `Leave out ${file.name}` },
      "Leave out",
    );
    const row = make("li", {}, image, caption, remove);
    remove.addEventListener("click", () => {
      this.offered = this.offered.filter((each) => each.row !== row);
      row.remove();
      this.allow();
      this.files.focus();
    });
    this.offered.push({ file, caption, row });
    return row;
  }

  private async submit(): Promise<void> {
    this.send.disabled = true;
    this.send.textContent = "Adding …";
    this.tell(null);
    try {
      const records: NewRecord[] = [];
      for (const { file, caption } of this.offered) {
        const text = caption.value.trim() || null;
        records.push({ text, image: await dataOf(file), metadata: { file_name: file.name } });
      }
      const text = this.text.value.trim();
      if (text !== "") records.push({ text, image: null, metadata: {} });
      const ids = await this.api.add(this.space, records);
      this.dialog.close();
      this.added(ids);
    } catch (error) {
      const { title, detail, remedy } = Problem.from(error);
      this.tell([title, detail, remedy].filter((words) => words !== "").join(". "));
    } finally {
      this.send.textContent = "Add";
      this.allow();
    }
  }

  private allow(): void {
    this.send.disabled = this.offered.length === 0 && this.text.value.trim() === "";
  }

  private tell(problem: string | null): void {
    this.problem.textContent = problem ?? "";
    this.problem.hidden = problem === null;
  }
}
