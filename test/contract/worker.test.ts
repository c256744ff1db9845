import postgres from "postgres";
import { postgresDriver } from "../../src/postgres/drivers/postgres.ts";
import { createDatabase } from "../harness/database.ts";
import { describeSource } from "./source.ts";
import { describeWorker } from "./worker.ts";

const openPostgresJs = () =>
  createDatabase({ driver: (connectionString) => postgresDriver(postgres(connectionString)) });

describeWorker("a worker over pg", createDatabase);

describeWorker("a worker over postgres.js", openPostgresJs);
describeSource("jobs over postgres.js", {}, openPostgresJs);
