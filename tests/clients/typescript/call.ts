// A client made by openapi-typescript and openapi-fetch: what compiles here, a caller can write.
import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

const [url, key, file] = process.argv.slice(2) as [string, string, string];
const example: Schemas["Reading"] = JSON.parse(readFileSync(file, "utf8"));
const asNumbers: Schemas["Reading"] = {
  ...example,
  recognition_accuracy: 6.4,
  afts_regno_ai_score: "0.5",
  afts_regno_ai_char_scores: [0.9, 1],
  direction: "1",
};
const unseen: Schemas["Reading"] = { ...example, camera_class: "Неведомая" };
const client = createClient<paths>({ baseUrl: url, headers: { "x-api-key": key } });

function scored(row: Schemas["ScoredRow"]): number {
  if ("error" in row) throw new Error(row.error);
  return row.positive;
}

function described(doubt: Schemas["Doubt"]): string {
  switch (doubt.kind) {
    case "unseen-category": {
      const nearest: string | null = doubt.nearest;
      return `${doubt.kind} ${doubt.feature} ${typeof nearest}`;
    }
    case "out-of-range":
      return `${doubt.kind} ${doubt.least <= doubt.greatest}`;
    default:
      return "field" in doubt ? `${doubt.kind} ${doubt.field}` : doubt.kind;
  }
}

const one = await client.POST("/reg/", { body: example });
if (!one.data || Array.isArray(one.data.body)) throw new Error("no single score");
const many = await client.POST("/reg/", { body: [example, asNumbers, {}] });
if (!Array.isArray(many.data?.body)) throw new Error("no list");
const [first, second, third] = many.data.body;
if (!first || !second || !third || !("error" in third)) throw new Error("no row error");
const detailed = await client.POST("/reg/", { body: unseen, params: { query: { detail: 1 } } });
const detail = detailed.data?.body;
if (!detail || !("warnings" in detail)) throw new Error("no detail");
const decision: "camera" | "manual" | "network" = detail.decision;
const explained = await client.POST("/reg/explain", { body: example });
if (!explained.data || !("features" in explained.data.body)) throw new Error("no explanation");
const pushes: ("camera" | "neither" | "network")[] = explained.data.body.features.map((f) => f.pushes);
const refused = await client.POST("/reg/", { body: { ...example, camera_type: "x".repeat(1001) } });
const status: "fail" | undefined = refused.error?.status;

console.log(
  JSON.stringify({
    positive: one.data.body.positive,
    rows: [scored(first), scored(second), third.error],
    decision,
    doubts: detail.warnings.map(described),
    features: pushes.length,
    refused: [status, refused.error?.body],
  }),
);
