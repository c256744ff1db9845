import { basicAuth, createAdmin } from "howdah/admin";
import { jobs } from "./jobs.mjs";

/** The page for operators, behind the password that ADMIN_PASSWORD names. One for this process, like the client. */
export async function admin() {
  globalThis.howdahAdmin ??= createAdmin({
    client: await jobs(),
    basePath: "/admin",
    authorize: basicAuth({ name: "ada", password: process.env.ADMIN_PASSWORD }),
  });
  return globalThis.howdahAdmin;
}
