import { z } from "zod";
import { version } from "../runtime/version.generated.ts";
import { COMPONENTS, Problem } from "./contract/component.ts";
import { type Route, ROUTES } from "./contract/routes.ts";
import { LiveEvent } from "./contract/overview-views.ts";

/** Describes the API in OpenAPI 3.1, from the schemas by which requests are read. */
export function toOpenApi(): Readonly<Record<string, unknown>> {
  const schemas = z.toJSONSchema(COMPONENTS, { uri: (id) => `${PLACE}${id}`, io: "output" }).schemas;
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, route] of Object.entries<Route>(ROUTES)) {
    const path = `${PREFIX}${route.path.replace(/:(\w+)/g, "{$1}")}`;
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: toOperation(name, route) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Howdah admin API", version, description: DESCRIPTION },
    paths: { ...paths, ...OTHER_PATHS },
    components: { schemas: Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)])) },
  };
}

/** Where the routes are. */
export const PREFIX = "/api/v1";

const PLACE = "#/components/schemas/";

const DESCRIPTION = `Reads need the role \`read\`. Changes need \`operate\` or \`admin\`, the header \`x-howdah-request: 1\`,
and must not come from another site. Every number says when it was counted, and whether it is exact.`;

const OTHER_PATHS = {
  [`${PREFIX}/live`]: {
    get: {
      operationId: "live",
      summary: "What changes, as server-sent events.",
      description: "Each event `update` has a LiveEvent as its data.",
      parameters: [
        {
          name: "topics",
          in: "query",
          required: true,
          schema: { type: "string" },
          description:
            "Up to eight, separated by commas: each is the path of a `GET` behind `/api/v1/` with its query, percent-encoded.",
        },
        { name: "Last-Event-ID", in: "header", schema: { type: "string" } },
      ],
      responses: {
        200: { description: "A stream.", content: { "text/event-stream": { schema: refTo(LiveEvent) } } },
        default: {
          description: "What went wrong.",
          content: { "application/problem+json": { schema: refTo(Problem) } },
        },
      },
    },
  },
  [`${PREFIX}/openapi.json`]: {
    get: {
      operationId: "openapi",
      summary: "This description.",
      responses: { 200: { description: "OpenAPI 3.1.", content: { "application/json": { schema: {} } } } },
    },
  },
};

function toOperation(operationId: string, route: Route): Readonly<Record<string, unknown>> {
  const { summary, role, params, query, body, response, status = 200, method } = route;
  const header = { name: "x-howdah-request", in: "header", required: true, schema: { const: "1" } };
  const parameters = [
    ...parametersOf(params, "path"),
    ...parametersOf(query, "query"),
    ...(method === "POST" ? [header] : []),
  ];
  return {
    operationId,
    summary,
    description: `Needs the role \`${role}\`.`,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body ? { requestBody: { required: true, content: { "application/json": { schema: refTo(body) } } } } : {}),
    responses: {
      [status]: { description: summary, content: { "application/json": { schema: refTo(response) } } },
      default: {
        description: "What went wrong.",
        content: { "application/problem+json": { schema: refTo(Problem) } },
      },
    },
  };
}

function parametersOf(schema: z.ZodType | undefined, place: "path" | "query"): readonly unknown[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: required.includes(name),
    schema: place === "query" ? inQuery(property) : property,
  }));
}

/** In a query everything is a text; what is read as a number may stand as one. */
function inQuery(property: unknown): unknown {
  const { type, ...rest } = (typeof property === "object" ? property : {}) as Readonly<Record<string, unknown>>;
  return type === undefined && "minimum" in rest ? { type: "integer", ...rest } : property;
}

function refTo(schema: z.ZodType): Readonly<Record<string, unknown>> {
  return { $ref: `${PLACE}${COMPONENTS.get(schema)?.id}` };
}

function bare(schema: object): Readonly<Record<string, unknown>> {
  const { $schema: _schema, $id: _id, ...rest } = schema as Readonly<Record<string, unknown>>;
  return rest;
}
