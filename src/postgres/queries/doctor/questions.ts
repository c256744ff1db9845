import type { Schema } from "../../schema.ts";

/** A statement for each question, which answers with one row whose columns are the properties of the answer. */
export type Questions<Facts> = {
  readonly [Q in keyof Facts]: (of: (name: string) => string, schema: Schema) => string;
};
