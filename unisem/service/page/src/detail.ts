/** The dialog that shows one record large, with where it is from and what stands beside it. */

import type { Api } from "./api.js";
import { citation, isHit, relationOf, titleOf, valueOf, whereOf } from "./describe.js";
import { figureOf } from "./drawing.js";
import { button, make, paragraphs, part, plain, shortened } from "./dom.js";
import { facts } from "./gallery.js";
import type { Pictures } from "./picture.js";
import { Problem } from "./problem.js";
import type { Found, SpaceRecord } from "./wire.js";

const MOST_NEIGHBORS = 12;
const LONGEST_NEIGHBOR = 180; // characters of it

/** What the dialog does when it is used. */
export interface DetailActions {
  addressOf(record: SpaceRecord): string;
  open(record: SpaceRecord): void;
  /** Go to another result, in the place of this one. */
  turnTo(record: SpaceRecord): void;
  like(record: SpaceRecord): void;
  closed(): void;
}

export class Detail {
  private readonly dialog = part("detail", HTMLDialogElement);
  private readonly shown = part("shown", HTMLElement);
  private readonly place = part("place", HTMLElement);
  private readonly earlier = part("earlier", HTMLButtonElement);
  private readonly later = part("later", HTMLButtonElement);
  private results: readonly Found[] = [];
  private index = -1;
  private loading = new AbortController();
  private opener: HTMLElement | null = null;

  constructor(
    private readonly api: Api,
    private readonly pictures: Pictures,
    private readonly actions: DetailActions,
  ) {
    this.earlier.addEventListener("click", () => this.turn(-1));
    this.later.addEventListener("click", () => this.turn(1));
    part("close", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // beside it
    });
    document.addEventListener("keydown", (event) => {
      const { target } = event;
      const isOther = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
      // A choice between picture and page has arrow keys of its own.
      if (!this.dialog.open || isOther || (target instanceof Element && target.matches("input")))
        return;
      if (event.key === "ArrowLeft") this.turn(-1);
      if (event.key === "ArrowRight") this.turn(1);
    });
    this.dialog.addEventListener("close", () => {
      this.loading.abort();
      this.shown.replaceChildren();
      this.opener?.focus();
      this.opener = null;
      this.actions.closed();
    });
  }

  /** Show a record, among the results if it is one of them. */
  async show(space: string, id: string, results: readonly Found[]): Promise<void> {
    this.loading.abort();
    const { signal } = (this.loading = new AbortController());
    this.results = results;
    this.index = results.findIndex((each) => each.record.id === id);
    this.earlier.disabled = this.index <= 0;
    this.later.disabled = this.index < 0 || this.index >= results.length - 1;
    this.place.textContent = this.index < 0 ? "" : `${this.index + 1} of ${results.length}`;
    if (!this.dialog.open) {
      const active = document.activeElement;
      this.opener = active instanceof HTMLElement ? active : null;
      this.dialog.showModal();
    }
    try {
      const found = results[this.index] ?? { record: await this.api.record(space, id, signal) };
      if (!signal.aborted) this.fill(space, found, signal);
    } catch (error) {
      if (signal.aborted) return;
      const { title, detail, remedy } = Problem.from(error);
      this.shown.replaceChildren(
        make("h2", { id: "detail-title" }, title),
        make("p", { class: "soft" }, plain(`${detail} ${remedy}`)),
      );
    }
  }

  close(): void {
    if (this.dialog.open) this.dialog.close();
  }

  private turn(step: number): void {
    const next = this.results[this.index + step];
    if (this.index >= 0 && next !== undefined) this.actions.turnTo(next.record);
  }

  private fill(space: string, found: Found, signal: AbortSignal): void {
    const { record } = found;
    const neighbors = make("section", { class: "neighbors", hidden: true });
    const known = make("section", { class: "known", hidden: true });
    this.shown.classList.toggle("has-picture", record.image !== null);
    this.shown.replaceChildren(
      ...(record.image === null ? [] : [this.picture(space, record, signal)]),
      make(
        "div",
        { class: "told" },
        make("h2", { id: "detail-title", class: "hidden" }, titleOf(record)),
        ...this.words(record),
        make("p", { class: "where", dir: "auto" }, whereOf(record)),
        isHit(found) ? facts(found, null) : null,
        make(
          "p",
          { class: "actions" },
          button("More like this", "plain", () => this.actions.like(record)),
        ),
        known,
        neighbors,
        metadata(record),
      ),
    );
    this.shown.scrollTop = 0;
    void this.fillNeighbors(space, record, neighbors, signal);
    if (isHit(found) && found.path.length > 0) void this.fillKnown(space, record, known, signal);
  }

  /** Of a record that the knowledge graph has led to: what is known of it. */
  private async fillKnown(
    space: string,
    record: SpaceRecord,
    section: HTMLElement,
    signal: AbortSignal,
  ): Promise<void> {
    const drawing = await this.api.drawing(space, record.id, signal).catch(() => null);
    if (signal.aborted || drawing === null) return; // the record itself is there
    section.replaceChildren(make("h3", {}, "What is known of it"), figureOf(drawing));
    section.hidden = false;
  }

  private words(record: SpaceRecord): HTMLElement[] {
    const lines = paragraphs(record.text ?? "").map((line) => make("p", { dir: "auto" }, line));
    if (lines.length === 0) return [];
    return [make(record.image === null ? "blockquote" : "div", { class: "prose" }, ...lines)];
  }

  /** The picture large, and beside it, if it is part of a page, the page with a frame around it. */
  private picture(space: string, record: SpaceRecord, signal: AbortSignal): HTMLElement {
    const large = make(
      "div",
      { class: "large" },
      this.pictures.of(space, record, "original", signal),
    );
    const region = record.image?.region ?? null;
    if (region === null || region.box === null) return make("div", { class: "sight" }, large);
    const choice = (label: string, size: "original" | "page"): HTMLElement => {
      const input = make("input", { type: "radio", name: "sight", value: size });
      input.checked = size === "original";
      input.addEventListener("change", () =>
        large.replaceChildren(this.pictures.of(space, record, size, signal)),
      );
      return make("label", {}, input, make("span", {}, label));
    };
    const legend = make("legend", { class: "hidden" }, "Show");
    const choices = [choice("Picture", "original"), choice(`On page ${region.page}`, "page")];
    const segments = make("fieldset", { class: "segments" }, legend, ...choices);
    return make("div", { class: "sight" }, segments, large);
  }

  /** What its links lead to: passages that speak of a figure, figures, what stands before and after. */
  private async fillNeighbors(
    space: string,
    record: SpaceRecord,
    section: HTMLElement,
    signal: AbortSignal,
  ): Promise<void> {
    const links = Object.entries(record.links)
      .filter(([, id]) => id !== record.id)
      .sort(([one], [other]) => importance(one) - importance(other))
      .slice(0, MOST_NEIGHBORS);
    if (links.length === 0) return;
    let found: readonly (SpaceRecord | null)[];
    try {
      found = await this.api.recordsOf(
        space,
        links.map(([, id]) => id),
        signal,
      );
    } catch {
      return; // the record itself is there
    }
    const items = links.flatMap(([link], index) => {
      const neighbor = found[index] ?? null; // gone, or not for this token
      return neighbor === null ? [] : [this.neighbor(space, link, neighbor, signal)];
    });
    if (signal.aborted || items.length === 0) return;
    section.replaceChildren(make("h3", {}, "What belongs to it"), make("ul", {}, ...items));
    section.hidden = false;
  }

  private neighbor(
    space: string,
    relation: string,
    record: SpaceRecord,
    signal: AbortSignal,
  ): HTMLElement {
    const words = shortened(
      paragraphs(record.text ?? "").join(" ") || titleOf(record),
      LONGEST_NEIGHBOR,
    );
    const link = make("a", { class: "open", dir: "auto" }, words);
    link.href = this.actions.addressOf(record);
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.actions.open(record);
    });
    return make(
      "li",
      { class: "neighbor" },
      record.image === null ? null : this.pictures.of(space, record, "thumbnail", signal),
      make("p", {}, make("small", {}, relationOf(relation)), link),
    );
  }
}

const FIRST = ["mentioned_by", "figure", "image", "words"];

function importance(link: string): number {
  const rank = FIRST.indexOf(link.replace(/:\d+$/, ""));
  return rank < 0 ? FIRST.length : rank;
}

function metadata(record: SpaceRecord): HTMLElement {
  const rows: [string, string][] = Object.entries(record.metadata).map(([name, value]) => [
    plain(name),
    valueOf(value),
  ]);
  if (citation(record.metadata) !== null) rows.push(["id", plain(record.id)]);
  if (record.image !== null && record.image.width !== null) {
    rows.push(["picture", `${record.image.width} × ${record.image.height} pixels`]);
  }
  const entries = rows.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", { dir: "auto" }, value)),
  );
  return make("section", {}, make("h3", {}, "Details"), make("dl", {}, ...entries));
}
