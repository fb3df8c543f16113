/** The service's routes, as functions. */

import { Problem } from "./problem.js";
import type {
  Drawing,
  Field,
  Hit,
  Json,
  Listing,
  NewRecord,
  Query,
  Question,
  Size,
  Space,
  SpaceRecord,
} from "./wire.js";

const KEY = "unisem.token"; // in sessionStorage: gone with the tab

export class Api {
  private readonly root = new URL("v1/", document.baseURI);
  private token = sessionStorage.getItem(KEY);
  private asking: Promise<string | null> | null = null;

  /**
   * @param ask Asks the user for a token; `refused` if the one that was given is not good. Null if
   *   they would rather not.
   */
  constructor(private readonly ask: (refused: boolean) => Promise<string | null>) {}

  get hasToken(): boolean {
    return this.token !== null;
  }

  forgetToken(): void {
    this.token = null;
    sessionStorage.removeItem(KEY);
  }

  async spaces(): Promise<readonly Space[]> {
    return (await this.json<{ spaces: readonly Space[] }>("spaces")).spaces;
  }

  async fields(space: string): Promise<readonly Field[]> {
    return (await this.json<{ fields: readonly Field[] }>(`${at(space)}/fields`)).fields;
  }

  async search(space: string, query: Query, signal: AbortSignal): Promise<readonly Hit[]> {
    return (await this.json<{ hits: readonly Hit[] }>(`${at(space)}/search`, query, signal)).hits;
  }

  async records(
    space: string,
    limit: number,
    filter: Json,
    cursor: string | null,
    signal: AbortSignal,
  ): Promise<Listing> {
    const parameters = new URLSearchParams({ limit: String(limit) });
    if (filter !== null) parameters.set("filter", JSON.stringify(filter));
    if (cursor !== null) parameters.set("cursor", cursor);
    return this.json<Listing>(`${at(space)}/records?${parameters}`, undefined, signal);
  }

  async record(space: string, id: string, signal?: AbortSignal): Promise<SpaceRecord> {
    return this.json<SpaceRecord>(
      `${at(space)}/records/${encodeURIComponent(id)}`,
      undefined,
      signal,
    );
  }

  /** The records of these ids, in order; null where there is none. */
  async recordsOf(
    space: string,
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly (SpaceRecord | null)[]> {
    const path = `${at(space)}/records/get`;
    return (await this.json<{ records: readonly (SpaceRecord | null)[] }>(path, { ids }, signal))
      .records;
  }

  async add(space: string, records: readonly NewRecord[]): Promise<readonly string[]> {
    return (await this.json<{ ids: readonly string[] }>(`${at(space)}/records`, { records })).ids;
  }

  async nextQuestion(space: string, who: string): Promise<Question | null> {
    return this.asked(space, "next", { who });
  }

  /** Write a caption down, or skip the picture if it is null; the next question. */
  async answerQuestion(
    space: string,
    who: string,
    id: string,
    caption: string | null,
  ): Promise<Question | null> {
    return this.asked(space, "answer", { who, id, caption });
  }

  /** The question whose answer is taken back; null if there is none. */
  async takeBack(space: string, who: string): Promise<Question | null> {
    return this.asked(space, "undo", { who });
  }

  async picture(
    space: string,
    record: SpaceRecord,
    size: Size,
    signal?: AbortSignal,
  ): Promise<Blob> {
    const digest = record.image?.sha256 ? `&sha256=${record.image.sha256}` : "";
    const path = `${at(space)}/records/${encodeURIComponent(record.id)}/image?size=${size}${digest}`;
    const answer = await this.answer(path, {}, signal);
    return answer.blob();
  }

  /** What is known of the things that a record is about, drawn; null if that is nothing. */
  async drawing(space: string, id: string, signal: AbortSignal): Promise<Drawing | null> {
    const path = `${at(space)}/records/${encodeURIComponent(id)}/graph`;
    return (await this.json<{ drawing: Drawing | null }>(path, undefined, signal)).drawing;
  }

  private async asked(space: string, what: string, said: Json): Promise<Question | null> {
    const path = `${at(space)}/label/${what}`;
    return (await this.json<{ question: Question | null }>(path, said)).question;
  }

  private async json<Answer>(path: string, body?: unknown, signal?: AbortSignal): Promise<Answer> {
    const sent =
      body === undefined
        ? {}
        : {
            method: "POST",
            body: JSON.stringify(body),
            headers: { "Content-Type": "application/json" },
          };
    const answer = await this.answer(path, sent, signal);
    return (await answer.json()) as Answer;
  }

  /** Ask; if a token is needed, ask for one and then again. */
  private async answer(path: string, sent: RequestInit, signal?: AbortSignal): Promise<Response> {
    for (;;) {
      const token = this.token;
      const headers = new Headers(sent.headers);
      if (token !== null) headers.set("Authorization", `Bearer ${token}`);
      let answer: Response;
      try {
        answer = await fetch(new URL(path, this.root), {
          ...sent,
          headers,
          signal: signal ?? null,
        });
      } catch (error) {
        if (signal?.aborted) throw error;
        throw Problem.unreachable();
      }
      if (answer.ok) return answer;
      const problem = await Problem.of(answer);
      if (answer.status !== 401 || !(await this.askOnce(token))) throw problem;
    }
  }

  /** Whether there is a token now that was not refused; many requests may wait for one question. */
  private async askOnce(refused: string | null): Promise<boolean> {
    if (this.token !== refused) return true; // another request has asked meanwhile
    this.asking ??= this.ask(refused !== null).finally(() => {
      this.asking = null;
    });
    const given = await this.asking;
    if (given === null) return false;
    this.token = given;
    sessionStorage.setItem(KEY, given);
    return true;
  }
}

function at(space: string): string {
  return `spaces/${encodeURIComponent(space)}`;
}
