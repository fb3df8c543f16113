/** The spaces that are served, the metadata of the one that is searched, and the controls for both. */

import type { Api } from "./api.js";
import type { Conditions } from "./conditions.js";
import { part } from "./dom.js";
import { showChips } from "./filter_chips.js";
import { FilterPanel } from "./filter_panel.js";
import { Problem } from "./problem.js";
import type { Search } from "./search.js";
import type { Field, Space } from "./wire.js";

const PATIENCE = 150; // milliseconds that results wait for the filters beside them

/** What the controls do when they are used. */
export interface SpacesActions {
  pick(space: string): void;
  readonly filter: (conditions: Conditions) => void;
  add(): void;
  label(): void;
  forgetToken(): void;
}

export class Spaces {
  private readonly picker = part("space", HTMLSelectElement);
  private readonly filtering = part("filtering", HTMLButtonElement);
  private readonly filters = part("filters", HTMLElement);
  private readonly chips = part("chips", HTMLElement);
  private readonly panel: FilterPanel;
  private all: readonly Space[] = [];
  private search: Search | null = null;
  private known: readonly Field[] = [];
  private knownOf = "";
  private loading: Promise<void> = Promise.resolve();

  constructor(
    private readonly api: Api,
    private readonly actions: SpacesActions,
  ) {
    this.panel = new FilterPanel(this.filters, (conditions) => actions.filter(conditions));
    this.picker.addEventListener("change", () => actions.pick(this.picker.value));
    this.filtering.addEventListener("click", () => {
      this.unfold(!this.filters.classList.contains("unfolded"));
    });
    part("add", HTMLButtonElement).addEventListener("click", () => actions.add());
    part("label", HTMLButtonElement).addEventListener("click", () => actions.label());
    part("forget", HTMLButtonElement).addEventListener("click", () => actions.forgetToken());
  }

  /** The one that is searched, as the service describes it; null before anything is known. */
  get served(): Space | null {
    const { name } = this;
    return this.all.find((each) => each.name === name) ?? null;
  }

  /** The name of the one that is searched; empty before anything is known. */
  get name(): string {
    return this.search?.space || (this.all[0]?.name ?? "");
  }

  /** Its metadata, as far as it is known. */
  get fields(): readonly Field[] {
    return this.known;
  }

  /** Come to know what a search needs, and show the controls for it. */
  async enter(search: Search, signal: AbortSignal): Promise<void> {
    this.search = search;
    if (this.all.length === 0) await this.load();
    if (this.name === "") {
      throw new Problem(
        0,
        "There is nothing to search in",
        "No space is served to you.",
        "Start the service with one: unisem serve photos.unisem",
      );
    }
    if (this.knownOf !== this.name) this.loadFields();
    // A filter needs to know its field; else the fields of a large space may come later.
    if (search.conditions.size > 0) await this.loading;
    else await Promise.race([this.loading, pause()]).catch(() => undefined);
    if (!signal.aborted) this.show(search);
  }

  /** Ask the service anew, next time. */
  forget(): void {
    this.all = [];
    this.knownOf = "";
  }

  /** Show the filters, or not, where there is no room for them beside the results. */
  unfold(unfolded: boolean): void {
    this.filters.classList.toggle("unfolded", unfolded);
    this.filtering.setAttribute("aria-expanded", String(unfolded));
  }

  private async load(): Promise<void> {
    this.all = await this.api.spaces();
    this.picker.replaceChildren(...this.all.map((space) => new Option(space.name, space.name)));
    part("spaces", HTMLElement).hidden = this.all.length < 2;
  }

  private loadFields(): void {
    const { name } = this;
    this.knownOf = name;
    this.known = [];
    this.loading = this.api.fields(name).then((fields) => {
      if (this.knownOf !== name) return;
      this.known = fields;
      if (this.search !== null) this.show(this.search);
    });
    this.loading.catch(() => {
      if (this.knownOf === name) this.knownOf = ""; // the next search asks for them again
    });
  }

  private show(search: Search): void {
    this.picker.value = this.name;
    part("add", HTMLButtonElement).hidden = this.served?.writable !== true;
    part("label", HTMLButtonElement).hidden = this.served?.writable !== true;
    part("forget", HTMLButtonElement).hidden = !this.api.hasToken;
    this.panel.show(this.known, search.conditions);
    showChips(this.chips, search.conditions, this.actions.filter);
    this.filters.hidden = this.filtering.hidden = this.panel.isEmpty;
    const { size } = search.conditions;
    this.filtering.textContent = size === 0 ? "Filters" : `Filters (${size})`;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE));
}
