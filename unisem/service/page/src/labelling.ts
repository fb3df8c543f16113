/** The dialog that asks for captions, one picture after the other; a keyboard is enough. */

import type { Api } from "./api.js";
import { button, make, part, plain } from "./dom.js";
import type { Pictures } from "./picture.js";
import { Problem } from "./problem.js";
import type { Question } from "./wire.js";

const KEY = "unisem.labeller"; // in sessionStorage: a tab is a person

export class Labelling {
  private readonly dialog = part("labelling", HTMLDialogElement);
  private readonly picture = part("labelling-picture", HTMLElement);
  private readonly reason = part("labelling-reason", HTMLElement);
  private readonly suggestions = part("labelling-suggestions", HTMLElement);
  private readonly caption = part("labelling-caption", HTMLInputElement);
  private readonly problem = part("labelling-problem", HTMLElement);
  private readonly said = part("labelling-said", HTMLElement);
  private readonly who = labeller();
  private showing = new AbortController();
  private question: Question | null = null;
  private space = "";
  private written = 0;
  private isBusy = false;

  /** @param ended What to do when the dialog is closed and captions were written. */
  constructor(
    private readonly api: Api,
    private readonly pictures: Pictures,
    private readonly ended: () => void,
  ) {
    part("labelling-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = this.caption.value.trim();
      if (typed !== "") this.answer(typed);
    });
    part("labelling-skip", HTMLButtonElement).addEventListener("click", () => this.answer(null));
    part("labelling-undo", HTMLButtonElement).addEventListener("click", () => this.undo());
    part("labelling-close", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("keydown", (event) => this.press(event));
    this.dialog.addEventListener("close", () => {
      this.showing.abort();
      if (this.written > 0) this.ended();
    });
  }

  open(space: string): void {
    this.space = space;
    this.written = 0;
    this.show(null);
    part("labelling-space", HTMLElement).textContent = plain(space);
    this.dialog.showModal();
    void this.ask(() => this.api.nextQuestion(space, this.who));
  }

  private press(event: KeyboardEvent): void {
    if (event.target === this.caption || event.ctrlKey || event.metaKey || event.altKey) return;
    const number = /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
    const suggestion = this.question?.suggestions[number - 1];
    if (suggestion !== undefined) this.answer(suggestion);
    else if (event.key === "e") this.edit();
    else if (event.key === "s") this.answer(null);
    else if (event.key === "u") this.undo();
    else return;
    event.preventDefault();
  }

  /** Write, with the likeliest suggestion to begin from. */
  private edit(): void {
    if (this.question === null) return;
    this.caption.value ||= this.question.suggestions[0] ?? "";
    this.caption.focus();
    this.caption.select();
  }

  private answer(caption: string | null): void {
    const { question, space } = this;
    if (question === null) return;
    void this.ask(async () => {
      const next = await this.api.answerQuestion(space, this.who, question.record.id, caption);
      if (caption !== null) this.written += 1;
      return next;
    });
  }

  private undo(): void {
    const { space, question } = this;
    void this.ask(async () => {
      const before = await this.api.takeBack(space, this.who);
      if (before === null) this.tell("There is nothing to take back.");
      else this.written += 1; // what is listed has changed
      return before ?? question;
    });
  }

  private async ask(act: () => Promise<Question | null>): Promise<void> {
    if (this.isBusy) return;
    this.isBusy = true;
    this.tell(null);
    try {
      this.show(await act());
      if (this.question === null) this.reason.textContent = "There is nothing left to ask you.";
    } catch (error) {
      const { title, detail, remedy } = Problem.from(error);
      this.tell([title, detail, remedy].filter((words) => words !== "").join(". "));
    } finally {
      this.isBusy = false;
    }
  }

  private show(question: Question | null): void {
    this.showing.abort();
    this.showing = new AbortController();
    this.question = question;
    this.caption.value = "";
    this.reason.textContent = plain(question?.reason ?? "");
    this.picture.replaceChildren();
    this.suggestions.replaceChildren();
    if (question === null) return;
    const { record, suggestions } = question;
    this.picture.append(this.pictures.of(this.space, record, "original", this.showing.signal));
    suggestions.forEach((words, index) => {
      const take = button(`${index + 1} ${plain(words)}`, "plain", () => this.answer(words));
      this.suggestions.append(make("li", {}, take));
    });
    this.picture.focus();
    this.said.textContent = `${plain(record.id)}: ${suggestions.map(plain).join(", ")}`;
  }

  private tell(problem: string | null): void {
    this.problem.textContent = problem ?? "";
    this.problem.hidden = problem === null;
  }
}

/** The name of this tab's person: no other is asked about the same pictures. */
function labeller(): string {
  const known = sessionStorage.getItem(KEY);
  if (known !== null) return known;
  const numbers = crypto.getRandomValues(new Uint8Array(12));
  const made = [...numbers].map((each) => each.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem(KEY, made);
  return made;
}
