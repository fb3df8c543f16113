/** The service's routes, as functions. */
import { Problem } from "./problem.js";
const KEY = "unisem.token"; // in sessionStorage: gone with the tab
export class Api {
    ask;
    root = new URL("v1/", document.baseURI);
    token = sessionStorage.getItem(KEY);
    asking = null;
    /**
     * @param ask Asks the user for a token; `refused` if the one that was given is not good. Null if
     *   they would rather not.
     */
    constructor(ask) {
        this.ask = ask;
    }
    get hasToken() {
        return this.token !== null;
    }
    forgetToken() {
        this.token = null;
        sessionStorage.removeItem(KEY);
    }
    async spaces() {
        return (await this.json("spaces")).spaces;
    }
    async fields(space) {
        return (await this.json(`${at(space)}/fields`)).fields;
    }
    async search(space, query, signal) {
        return (await this.json(`${at(space)}/search`, query, signal)).hits;
    }
    async records(space, limit, filter, cursor, signal) {
        const parameters = new URLSearchParams({ limit: String(limit) });
        if (filter !== null)
            parameters.set("filter", JSON.stringify(filter));
        if (cursor !== null)
            parameters.set("cursor", cursor);
        return this.json(`${at(space)}/records?${parameters}`, undefined, signal);
    }
    async record(space, id, signal) {
        return this.json(`${at(space)}/records/${encodeURIComponent(id)}`, undefined, signal);
    }
    /** The records of these ids, in order; null where there is none. */
    async recordsOf(space, ids, signal) {
        const path = `${at(space)}/records/get`;
        return (await this.json(path, { ids }, signal))
            .records;
    }
    async add(space, records) {
        return (await this.json(`${at(space)}/records`, { records })).ids;
    }
    async nextQuestion(space, who) {
        return this.asked(space, "next", { who });
    }
    /** Write a caption down, or skip the picture if it is null; the next question. */
    async answerQuestion(space, who, id, caption) {
        return this.asked(space, "answer", { who, id, caption });
    }
    /** The question whose answer is taken back; null if there is none. */
    async takeBack(space, who) {
        return this.asked(space, "undo", { who });
    }
    async picture(space, record, size, signal) {
        const digest = record.image?.sha256 ? `&sha256=${record.image.sha256}` : "";
        const path = `${at(space)}/records/${encodeURIComponent(record.id)}/image?size=${size}${digest}`;
        const answer = await this.answer(path, {}, signal);
        return answer.blob();
    }
    /** What is known of the things that a record is about, drawn; null if that is nothing. */
    async drawing(space, id, signal) {
        const path = `${at(space)}/records/${encodeURIComponent(id)}/graph`;
        return (await this.json(path, undefined, signal)).drawing;
    }
    async asked(space, what, said) {
        const path = `${at(space)}/label/${what}`;
        return (await this.json(path, said)).question;
    }
    async json(path, body, signal) {
        const sent = body === undefined
            ? {}
            : {
                method: "POST",
                body: JSON.stringify(body),
                headers: { "Content-Type": "application/json" },
            };
        const answer = await this.answer(path, sent, signal);
        return (await answer.json());
    }
    /** Ask; if a token is needed, ask for one and then again. */
    async answer(path, sent, signal) {
        for (;;) {
            const token = this.token;
            const headers = new Headers(sent.headers);
            if (token !== null)
                headers.set("Authorization", `Bearer ${token}`);
            let answer;
            try {
                answer = await fetch(new URL(path, this.root), {
                    ...sent,
                    headers,
                    signal: signal ?? null,
                });
            }
            catch (error) {
                if (signal?.aborted)
                    throw error;
                throw Problem.unreachable();
            }
            if (answer.ok)
                return answer;
            const problem = await Problem.of(answer);
            if (answer.status !== 401 || !(await this.askOnce(token)))
                throw problem;
        }
    }
    /** Whether there is a token now that was not refused; many requests may wait for one question. */
    async askOnce(refused) {
        if (this.token !== refused)
            return true; // another request has asked meanwhile
        this.asking ??= this.ask(refused !== null).finally(() => {
            this.asking = null;
        });
        const given = await this.asking;
        if (given === null)
            return false;
        this.token = given;
        sessionStorage.setItem(KEY, given);
        return true;
    }
}
function at(space) {
    return `spaces/${encodeURIComponent(space)}`;
}
