/** What stands where no results are: nothing found, nothing there, something wrong. */

import { button, make, plain } from "./dom.js";
import type { Problem } from "./problem.js";

/** A way on from here. */
export interface WayOn {
  readonly label: string;
  act(): void;
}

/** A few words, what to try, and buttons that try it. */
export function notice(
  title: string,
  remedies: readonly string[],
  ways: readonly WayOn[],
): HTMLElement {
  const advice = remedies.filter((each) => each !== "");
  return make(
    "div",
    { class: "notice" },
    make("p", { class: "title" }, title),
    advice.length > 1
      ? make("ul", {}, ...advice.map((each) => make("li", {}, plain(each))))
      : make("p", { class: "soft" }, plain(advice[0] ?? "")),
    make(
      "p",
      { class: "actions" },
      ...ways.map((way) => button(way.label, "plain", () => way.act())),
    ),
  );
}

/** What went wrong, in the service's own words. */
export function failure(problem: Problem, again: () => void): HTMLElement {
  const { retryAfter } = problem;
  const wait = retryAfter === null ? "" : `Try again in ${Math.ceil(retryAfter)} s.`;
  const told = [problem.detail, problem.remedy, wait].filter((each) => each !== "").join(" ");
  const label = problem.status === 401 ? "Enter a token" : "Try again";
  const made = notice(plain(problem.title), [told], [{ label, act: again }]);
  made.classList.add("failure");
  return made;
}
