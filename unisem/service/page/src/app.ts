/** The page as a whole: what the address asks for is what is shown. */

import { Adding } from "./adding.js";
import { Api } from "./api.js";
import { filterOf } from "./conditions.js";
import { Detail } from "./detail.js";
import { doubt, isHit } from "./describe.js";
import { part, plain } from "./dom.js";
import { Gallery, skeletons } from "./gallery.js";
import { Labelling } from "./labelling.js";
import { Pictures } from "./picture.js";
import { Problem } from "./problem.js";
import { QueryBar } from "./query_bar.js";
import { keepPicture, pictureNumber } from "./query_picture.js";
import { addressOf, asks, isSame, modeOf, NOTHING, type Search, searchAt } from "./search.js";
import { Spaces } from "./spaces.js";
import { failure, notice, type WayOn } from "./states.js";
import { askForToken } from "./token_prompt.js";
import { adviceFor, headingOf, subjectOf } from "./wording.js";
import type { Found, Query, SpaceRecord } from "./wire.js";

const STEP = 24; // results at first, and more each time, if the service gives so many
const MOST = 192;
const PATIENCE = 150; // milliseconds after which a search shows that it is under way

export class App {
  private readonly api = new Api((refused) => askForToken(refused));
  private readonly pictures = new Pictures(this.api);
  private readonly results = part("results", HTMLElement);
  private readonly said = part("said", HTMLElement);
  private readonly remark = part("remark", HTMLElement);
  private readonly place = part("found", HTMLElement);
  private readonly more = part("more", HTMLButtonElement);
  private readonly status = part("status", HTMLElement);
  private readonly gallery = new Gallery(this.pictures, {
    addressOf: (record) => addressOf({ ...this.search, record: record.id }),
    open: (record) => this.open(record),
    like: (record) => this.like(record),
  });
  private readonly detail = new Detail(this.api, this.pictures, {
    addressOf: (record) => addressOf({ ...this.search, record: record.id }),
    open: (record) => this.open(record),
    turnTo: (record) => this.go({ ...this.search, record: record.id }, "replace"),
    like: (record) => this.like(record),
    closed: () => this.closeRecord(),
  });
  private readonly bar = new QueryBar(this.pictures, {
    submit: (text) => this.submit(text),
    withPicture: (file) => void this.withPicture(file),
    withoutPicture: () =>
      this.go({ ...this.search, text: this.bar.typed, picture: 0, like: "", record: "" }),
    choose: (choice) => this.go({ ...this.search, ...choice }),
    dropIsWanted: () => document.querySelector("dialog[open]") === null,
    refuse: (what) => this.say(what),
  });
  private readonly adding = new Adding(this.api, (ids) => this.added(ids));
  private readonly labelling = new Labelling(this.api, this.pictures, () => this.again());
  private readonly spaces = new Spaces(this.api, {
    pick: (space) => {
      const { text, mode } = this.search;
      this.go({ ...NOTHING, space, text, mode });
    },
    filter: (conditions) => this.go({ ...this.search, conditions }),
    add: () => this.adding.open(this.spaces.name),
    label: () => this.labelling.open(this.spaces.name),
    forgetToken: () => {
      this.api.forgetToken();
      this.again();
    },
  });

  private search: Search = NOTHING;
  private lookedFor: Search | null = null;
  private hasLooked = false;
  private looking = new AbortController();
  private found: readonly Found[] = [];
  private liked: SpaceRecord | null = null;
  private cursor: string | null = null;

  start(): void {
    this.more.addEventListener("click", () => void this.showMore());
    part("home", HTMLAnchorElement).addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.go({ ...NOTHING, space: this.search.space });
    });
    window.addEventListener("popstate", () => void this.show(searchAt(location.search)));
    void this.show(searchAt(location.search));
  }

  /** Ask for something else, and have the way back remember what was. */
  private go(search: Search, way: "push" | "replace" = "push"): void {
    const depth = search.record === "" ? 0 : this.depth + (way === "push" ? 1 : 0);
    const address = addressOf(search);
    if (way === "replace" || address === addressOf(this.search))
      history.replaceState({ depth }, "", address);
    else history.pushState({ depth }, "", address);
    void this.show(search);
  }

  /** How many steps back the results are, from the record that is open. */
  private get depth(): number {
    const state: unknown = history.state;
    if (typeof state !== "object" || state === null || !("depth" in state)) return 0;
    return typeof state.depth === "number" ? state.depth : 0;
  }

  private async show(search: Search): Promise<void> {
    this.search = search;
    if (this.lookedFor === null || !isSame(search, this.lookedFor)) await this.look();
    if (this.search !== search) return; // something else has been asked for meanwhile
    if (search.record === "") this.detail.close();
    else if (this.spaces.name !== "")
      void this.detail.show(this.spaces.name, search.record, this.found);
  }

  private async look(): Promise<void> {
    this.looking.abort();
    const { signal } = (this.looking = new AbortController());
    const search = (this.lookedFor = this.search);
    this.detail.close();
    this.liked = null;
    this.remark.hidden = true;
    this.more.hidden = true;
    this.results.setAttribute("aria-busy", "true");
    const wait = setTimeout(() => {
      this.said.replaceChildren(asks(search) ? "Searching …" : "Loading …");
      this.place.replaceChildren(skeletons());
    }, PATIENCE);
    try {
      await this.spaces.enter(search, signal);
      this.liked =
        search.like === "" ? null : await this.api.record(this.spaces.name, search.like, signal);
      if (signal.aborted) return;
      this.bar.show(this.spaces.name, search, this.liked, this.spaces.served?.graph ?? false);
      const found = await this.find(this.step, signal);
      if (signal.aborted) return;
      clearTimeout(wait);
      this.found = found;
      this.showFound(signal);
    } catch (error) {
      if (signal.aborted) return;
      clearTimeout(wait);
      this.found = [];
      this.bar.show(this.spaces.name, search, this.liked, this.spaces.served?.graph ?? false);
      this.fail(Problem.from(error));
    } finally {
      clearTimeout(wait);
      if (!signal.aborted) {
        this.results.setAttribute("aria-busy", "false");
        // What had the focus may be gone, like the button that was pressed.
        const isLost = document.activeElement === document.body;
        if (isLost && this.hasLooked) this.results.focus({ preventScroll: true });
        this.hasLooked = true;
      }
    }
  }

  private async find(count: number, signal: AbortSignal): Promise<readonly Found[]> {
    const { search } = this;
    if (asks(search)) return this.api.search(this.spaces.name, this.queryOf(search, count), signal);
    const listing = await this.api.records(
      this.spaces.name,
      count,
      filterOf(this.search.conditions, this.spaces.fields),
      null,
      signal,
    );
    this.cursor = listing.cursor;
    return listed(listing.records);
  }

  private queryOf(search: Search, k: number): Query {
    const filter = filterOf(search.conditions, this.spaces.fields);
    const rest = {
      k,
      duplicates: "near" as const,
      ...(search.modality === "" ? {} : { modality: search.modality }),
      ...(filter === null ? {} : { filter }),
    };
    if (search.like !== "") return { like: search.like, ...rest };
    const related = search.related && this.spaces.served?.graph === true;
    const graph = related ? { graph: { method: "pagerank" as const } } : {};
    const text = search.text === "" ? {} : { text: search.text, mode: modeOf(search), ...graph };
    if (search.picture === 0) return { ...text, ...rest };
    const picture = pictureNumber(search.picture);
    if (picture === null) {
      throw new Problem(
        0,
        "The picture of this search is gone",
        "Pictures are kept until the page is loaded again.",
        "Drop, paste or choose it once more.",
      );
    }
    return {
      image: picture.data,
      ...text,
      ...(search.text === "" ? {} : { text_weight: search.weight }),
      ...rest,
    };
  }

  private showFound(signal: AbortSignal): void {
    const { search, found } = this;
    const count = found.length;
    const subject = subjectOf(search, this.liked);
    document.title = `${subject === "" ? plain(this.spaces.name) : subject} · UniSem`;
    if (count === 0) {
      this.showNothing(search, subject);
      return;
    }
    this.said.replaceChildren(headingOf(search, subject, this.spaces.served));
    this.place.replaceChildren(this.gallery.of(this.spaces.name, found, signal));
    this.more.hidden = asks(search) ? count < this.step || count >= this.most : this.cursor === null;
    const doubts = doubt(found.filter(isHit));
    this.remark.textContent = doubts ?? "";
    this.remark.hidden = doubts === null;
    this.say(asks(search) ? `${count} results for ${subject}` : `${count} records`);
    window.scrollTo(0, 0);
  }

  /** Nothing was found: say what to try. */
  private showNothing(search: Search, subject: string): void {
    const advice = adviceFor(search);
    const reasons = advice.map((each) => each.reason);
    const ways: WayOn[] = advice.map(({ label, instead }) => ({
      label,
      act: () => this.go({ ...search, ...instead, record: "" }),
    }));
    if (advice.length === 0) {
      reasons.push(
        "There is nothing in this space yet. Fill it: unisem index photos/ --into SPACE",
      );
      if (this.spaces.served?.writable === true) {
        ways.push({ label: "Add pictures", act: () => this.adding.open(this.spaces.name) });
      }
    }
    const title = subject === "" ? "Nothing here" : `Nothing found for ${subject}`;
    this.said.replaceChildren("");
    this.place.replaceChildren(notice(title, reasons, ways));
    this.say(`${title}. ${reasons.join(" ")}`);
  }

  private fail(problem: Problem): void {
    this.said.replaceChildren("");
    this.place.replaceChildren(failure(problem, () => this.again()));
    this.say(`${problem.title}. ${problem.detail} ${problem.remedy}`);
  }

  /** Ask for the same once more. */
  private again(): void {
    this.forget();
    void this.show(this.search);
  }

  private forget(): void {
    this.lookedFor = null;
    this.spaces.forget();
  }

  /** How many results come at once. */
  private get step(): number {
    const limits = this.spaces.served?.limits;
    const most = asks(this.search) ? limits?.k : limits?.records;
    return Math.min(STEP, most ?? STEP);
  }

  /** How many results a search gives at most. */
  private get most(): number {
    return Math.min(MOST, this.spaces.served?.limits.k ?? MOST);
  }

  private async showMore(): Promise<void> {
    const { signal } = this.looking;
    const before = this.found.length;
    this.more.disabled = true;
    try {
      let next: readonly Found[];
      if (asks(this.search)) {
        const known = new Set(this.found.map((each) => each.record.id));
        const all = await this.find(Math.min(before + this.step, this.most), signal);
        next = all.filter((each) => !known.has(each.record.id));
        this.more.hidden = next.length < this.step || all.length >= this.most;
      } else {
        const listing = await this.api.records(
          this.spaces.name,
          this.step,
          filterOf(this.search.conditions, this.spaces.fields),
          this.cursor,
          signal,
        );
        this.cursor = listing.cursor;
        next = listed(listing.records);
        this.more.hidden = this.cursor === null;
      }
      if (signal.aborted) return;
      this.found = [...this.found, ...next];
      this.gallery.append(this.spaces.name, next, before, signal)?.focus({ preventScroll: true });
      this.say(`${next.length} more, ${this.found.length} in all`);
    } catch (error) {
      if (!signal.aborted) this.place.append(failure(Problem.from(error), () => this.again()));
    } finally {
      this.more.disabled = false;
    }
  }

  private submit(text: string): void {
    const { search } = this;
    if (text === "" && search.picture === 0 && search.like !== "") return;
    this.go({ ...search, text, like: text === "" ? search.like : "", record: "" });
    this.spaces.unfold(false);
  }

  private async withPicture(file: File): Promise<void> {
    try {
      const picture = await keepPicture(file);
      this.go({ ...this.search, text: this.bar.typed, picture, like: "", record: "" });
    } catch (error) {
      this.fail(Problem.from(error));
    }
  }

  private open(record: SpaceRecord): void {
    this.go({ ...this.search, record: record.id });
  }

  private like(record: SpaceRecord): void {
    this.go({ ...this.search, text: "", picture: 0, like: record.id, record: "" });
    this.results.focus({ preventScroll: true });
  }

  /** The dialog has been closed: go back to where it was opened. */
  private closeRecord(): void {
    if (this.search.record === "") return;
    if (this.depth > 0) history.go(-this.depth);
    else this.go({ ...this.search, record: "" }, "replace");
  }

  /** Show what has been added; the counts and the filters have changed, too. */
  private added(ids: readonly string[]): void {
    this.forget();
    this.go({ ...NOTHING, space: this.search.space, record: ids[0] ?? "" });
    this.say(
      ids.length === 1 ? "One record has been added." : `${ids.length} records have been added.`,
    );
  }

  private say(words: string): void {
    this.status.textContent = plain(words);
  }
}

/** Records that nobody has asked for, pictures first: they say at a glance what is here. */
function listed(records: readonly SpaceRecord[]): Found[] {
  const pictures = records.filter((record) => record.image !== null);
  const texts = records.filter((record) => record.image === null);
  return [...pictures, ...texts].map((record) => ({ record }));
}
