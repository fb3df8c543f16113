/** Pictures to search with: from a file, dropped or pasted; kept as long as the tab lives. */

import { dataOf } from "./file_data.js";

export interface QueryPicture {
  readonly name: string;
  /** What is sent, a `data:` URL. */
  readonly data: string;
}

const LARGEST = 2_000_000; // bytes that are sent as they are; no model looks closer

const kept: QueryPicture[] = [];

/** Keep a picture; its number, from 1. */
export async function keepPicture(file: File): Promise<number> {
  const data = await dataOf(file, LARGEST);
  return kept.push({ name: file.name, data });
}

/** The picture of this number; null if it was another tab's, or before the page was loaded. */
export function pictureNumber(number: number): QueryPicture | null {
  return kept[number - 1] ?? null;
}

/** The first picture that was dropped or pasted; null if there is none. */
export function pictureIn(transfer: DataTransfer | null): File | null {
  return picturesIn(transfer)[0] ?? null;
}

export function picturesIn(transfer: DataTransfer | null): File[] {
  return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
}

/** Whether what is dragged over the page may be a picture; its type is often not told yet. */
export function bringsFiles(transfer: DataTransfer | null): boolean {
  return transfer?.types.includes("Files") ?? false;
}
