/** What went wrong, and what to do about it: RFC 9457, as the service tells it. */
export class Problem extends Error {
    status;
    title;
    detail;
    remedy;
    retryAfter;
    constructor(
    /** The HTTP status; 0 if there was no answer at all. */
    status, title, detail = "", remedy = "", 
    /** Seconds after which to try again; null if nobody said. */
    retryAfter = null) {
        super(`${title} ${detail}`.trim());
        this.status = status;
        this.title = title;
        this.detail = detail;
        this.remedy = remedy;
        this.retryAfter = retryAfter;
    }
    static unreachable() {
        return new Problem(0, "The service does not answer", "It may have been stopped, or the network may be down.", "See whether `unisem serve` is still running, then try again.");
    }
    /** From an answer that is no success. */
    static async of(answer) {
        const wait = Number(answer.headers.get("Retry-After") ?? NaN);
        let told = {};
        try {
            const parsed = await answer.json();
            if (typeof parsed === "object" && parsed !== null)
                told = parsed;
        }
        catch {
            // Whoever stands between page and service speaks HTML.
        }
        return new Problem(answer.status, words(told["title"]) || TITLES[answer.status] || `The service answered ${answer.status}`, words(told["detail"]), words(told["remedy"]), Number.isFinite(wait) ? wait : null);
    }
    /** Whatever was thrown, as a problem. */
    static from(thrown) {
        if (thrown instanceof Problem)
            return thrown;
        return new Problem(0, "Something is wrong with this page", String(thrown), "Load it again.");
    }
}
const TITLES = {
    401: "A token is needed",
    403: "This token does not allow that",
    404: "There is no such thing",
    413: "That is too large",
    422: "That cannot be searched for",
    429: "The service is busy",
    503: "The service is busy",
};
function words(value) {
    return typeof value === "string" ? value : "";
}
