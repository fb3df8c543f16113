/** What travels between the page and the service, as `unisem.wire` writes it. */

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Modality = "image" | "text";
export type Mode = "vector" | "keyword" | "hybrid";
/** Of a picture: a small copy, the picture itself, or the page that it is a part of, with a frame. */
export type Size = "thumbnail" | "original" | "page";

export interface Space {
  readonly name: string;
  readonly records: number;
  readonly encoder: string;
  readonly writable: boolean;
  readonly graph: boolean;
  readonly limits: { readonly k: number; readonly records: number };
}

export interface ImagePart {
  readonly sha256: string | null;
  readonly mime_type: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly region: { readonly page: number; readonly box: readonly number[] | null } | null;
}

export interface SpaceRecord {
  readonly id: string;
  readonly text: string | null;
  readonly metadata: { readonly [key: string]: Json };
  readonly source_id: string | null;
  readonly links: { readonly [relation: string]: string };
  readonly image: ImagePart | null;
}

export interface Hit {
  readonly record: SpaceRecord;
  readonly score: number;
  readonly matched: Modality | "both";
  readonly relevance: number | null;
  readonly judged: number | null;
  /** Names that lead from what was asked for to this; empty if the graph had no part. */
  readonly path: readonly string[];
  /** Other records that show the same picture. */
  readonly copies: readonly SpaceRecord[];
}

/** A record of a listing has not been compared with anything. */
export type Found = Hit | { readonly record: SpaceRecord };

export type FieldKind = "string" | "number" | "boolean" | "list" | "mixed";

/** A metadata field of a space, with what is in it. */
export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  readonly values: readonly {
    readonly value: string | number | boolean;
    readonly records: number;
  }[];
  readonly least: number | null;
  readonly most: number | null;
}

export interface Query {
  readonly text?: string;
  readonly image?: string;
  readonly like?: string;
  readonly text_weight?: number;
  readonly k: number;
  readonly mode?: Mode;
  readonly modality?: Modality;
  readonly filter?: Json;
  readonly graph?: { readonly method: "pagerank" };
  readonly duplicates?: "keep" | "same" | "near";
}

export interface Listing {
  readonly records: readonly SpaceRecord[];
  readonly cursor: string | null;
}

export interface NewRecord {
  readonly text: string | null;
  readonly image: string | null;
  readonly metadata: { readonly [key: string]: Json };
}

/** Lines, labels, and a dot for the record; lengths in pixels. */
export interface Drawing {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  readonly dot: readonly [number, number];
  readonly lines: readonly (readonly [number, number, number, number])[];
  readonly labels: readonly {
    readonly x: number;
    readonly y: number;
    readonly text: string;
    readonly whole: string;
    readonly size: number;
    readonly bold: boolean;
  }[];
}

/** A picture that somebody is asked about. */
export interface Question {
  readonly record: SpaceRecord;
  readonly suggestions: readonly string[];
  readonly reason: string;
}
