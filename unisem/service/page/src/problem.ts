/** What went wrong, and what to do about it: RFC 9457, as the service tells it. */

export class Problem extends Error {
  constructor(
    /** The HTTP status; 0 if there was no answer at all. */
    readonly status: number,
    readonly title: string,
    readonly detail: string = "",
    readonly remedy: string = "",
    /** Seconds after which to try again; null if nobody said. */
    readonly retryAfter: number | null = null,
  ) {
    super(`${title} ${detail}`.trim());
  }

  static unreachable(): Problem {
    return new Problem(
      0,
      "The service does not answer",
      "It may have been stopped, or the network may be down.",
      "See whether `unisem serve` is still running, then try again.",
    );
  }

  /** From an answer that is no success. */
  static async of(answer: Response): Promise<Problem> {
    const wait = Number(answer.headers.get("Retry-After") ?? NaN);
    let told: { [key: string]: unknown } = {};
    try {
      const parsed: unknown = await answer.json();
      if (typeof parsed === "object" && parsed !== null)
        told = parsed as { [key: string]: unknown };
    } catch {
      // Whoever stands between page and service speaks HTML.
    }
    return new Problem(
      answer.status,
      words(told["title"]) || TITLES[answer.status] || `The service answered ${answer.status}`,
      words(told["detail"]),
      words(told["remedy"]),
      Number.isFinite(wait) ? wait : null,
    );
  }

  /** Whatever was thrown, as a problem. */
  static from(thrown: unknown): Problem {
    if (thrown instanceof Problem) return thrown;
    return new Problem(0, "Something is wrong with this page", String(thrown), "Load it again.");
  }
}

const TITLES: { readonly [status: number]: string } = {
  401: "A token is needed",
  403: "This token does not allow that",
  404: "There is no such thing",
  413: "That is too large",
  422: "That cannot be searched for",
  429: "The service is busy",
  503: "The service is busy",
};

function words(value: unknown): string {
  return typeof value === "string" ? value : "";
}
