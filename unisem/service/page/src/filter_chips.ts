/** The filters that hold, above the results, each with a way to drop it. */

import { changed, type Conditions, NONE } from "./conditions.js";
import { button, make, plain } from "./dom.js";

/**
 * Show them.
 *
 * @param drop What to do when one is dropped, with those that are left.
 */
export function showChips(
  list: HTMLElement,
  conditions: Conditions,
  drop: (left: Conditions) => void,
): void {
  const chips: HTMLElement[] = [];
  for (const [field, condition] of conditions) {
    const chip = (words: string, left: Partial<typeof condition>): void => {
      const made = button(plain(words), "chip", () =>
        drop(changed(conditions, field, { ...NONE, ...condition, ...left })),
      );
      made.setAttribute("aria-label", `Drop the filter ${plain(words)}`);
      chips.push(make("li", {}, made));
    };
    for (const value of condition.values) {
      const values = condition.values.filter((each) => each !== value);
      chip(`${field}: ${value}`, { values });
    }
    if (condition.least !== "") chip(`${field} from ${condition.least}`, { least: "" });
    if (condition.most !== "") chip(`${field} to ${condition.most}`, { most: "" });
  }
  list.replaceChildren(...chips);
  list.hidden = chips.length === 0;
}
