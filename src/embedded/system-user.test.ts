import { expect, it } from "vitest";
import { parsePasswd } from "./system-user.ts";

it("reads users and skips whatever is none", () => {
  const text = [
    "# comment:x:1:1",
    "root:x:0:0:root:/root:/bin/bash",
    "",
    "broken",
    "half:x:12",
    "words:x:one:two::/:",
    "nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false",
    "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash",
    "",
  ].join("\n");
  expect(parsePasswd(text)).toEqual([
    { name: "root", uid: 0, gid: 0 },
    { name: "nobody", uid: -2, gid: -2 },
    { name: "postgres", uid: 101, gid: 104 },
  ]);
});
