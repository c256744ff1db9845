import { expect, it } from "vitest";
import { type Route, ROUTES } from "../../src/admin/contract/routes.ts";
import { readProjectFile } from "./project-tree.ts";

const reference = readProjectFile("docs/reference/admin-api.md");

it("docs/reference/admin-api.md has every route with its role, and no other", () => {
  const routes = Object.values<Route>(ROUTES).map(({ method, path, role }) => `${method} ${path} ${role}`);
  const rows = [...reference.matchAll(/^\| `((?:GET|POST) \/[^`]*)` +\| `(\w+)`/gm)];
  expect(rows.map(([, route, role]) => `${route} ${role}`)).toEqual(routes);
});

it("docs/reference/admin-api.md has every option", () => {
  const [, options = ""] =
    /interface AdminOptions \{([\s\S]*?)\n\}/.exec(readProjectFile("src/admin/admin-options.ts")) ?? [];
  const names = [...options.matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !reference.includes(`| \`${name}\``))).toEqual([]);
});
