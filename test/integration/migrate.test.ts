import { afterAll, expect, it } from "vitest";
import { createDatabase } from "../harness/database.ts";

const database = await createDatabase({ migrate: false });
afterAll(() => database.drop());

it("migrates", async () => {
  const { migrate } = await import("../../src/postgres/migrate.ts");
  const result = await migrate({ driver: database.driver, schema: database.schema });
  expect(result).toEqual({ revision: 3, applied: [1, 2, 3] });
});
