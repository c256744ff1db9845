import { describe, expect, it } from "vitest";
import { missing, testsNamedIn } from "./named-tests.ts";
import { readProjectFile } from "./project-tree.ts";

/** Every number of the catalogue, which has gaps. */
const NUMBERS = `
  1 2 4 5 6 8 9 10 12 13 14 16 17 18 20 21 22 24 25 26 28 29 30 32 33 34 36 37 38 40 41 42 44 45 46 48 49 50 52 53
  54 56 57 58 60 61 62 64 65 66 68 69 70 72 73 74 76 77 78 80 81 82 84 85 86 88 89 90 92 93 94 96 97 98 100 101
  102 104 105 106 108 109 110 112 113 114 116 117 118 120 121 122 124 125 126 128 129 130 132 133 134 136 137 138
  140 141 142 144 145 146 148 149 150 152 153 154 156 157 158 160 161 162 164 165 166 168 169 170 172 173 174 176
  177 178 180 181 182 184 185 186 188 189 190 192 193 194 196 197 198 200 201 202 204 205 206 208 209 210 212 213
  214 216 217 218 220 221 222 224 225 226 228 229 230 232 233 234 236 237 238 240 241 242 244 245 246 248 249 250
  252 253 254 256 257 258 260 261 262 264 265 266 268 269 270 272 273 274 276 277 278 280 281 282 284 285 286 288
  289 290 292 293 294 296 297 298 300 301 302 304 305 306 308 309 310 312 313 314 316 317 318 320 321 322 324 325
  326 328 329 330 332 333 334 336 337 338
`
  .trim()
  .split(/\s+/)
  .concat(Array.from({ length: 43 }, (_, index) => `S${index + 1}`));

const LATER = ["cron", "admin"];

/** The rows of all tables: the numbers in the first column, and what the last one says of them. */
const rows = [...readProjectFile("test/behaviours.md").matchAll(/^\| (S?\d[^|]*)\|[^|]*\|([^|]*)\|$/gm)].map(
  ([, numbers = "", where = ""]) => ({ numbers: numbers.trim().split(", "), where: where.trim() }),
);

describe("test/behaviours.md", () => {
  it("has every number of the catalogue exactly once", () => {
    expect(rows.flatMap(({ numbers }) => numbers).sort()).toEqual([...NUMBERS].sort());
  });

  it("says of each number where it is tested, to what it belongs, or why it does not apply", () => {
    expect(rows.filter(({ where }) => !/\) "|later: |not here: /.test(where))).toEqual([]);
  });

  it("defers only to capabilities that are planned", () => {
    const deferred = rows.flatMap(({ where }) =>
      [...where.matchAll(/later: ([^;]*)/g)].map(([, name]) => name?.trim()),
    );
    expect(deferred.filter((name) => !LATER.includes(name ?? ""))).toEqual([]);
  });

  it("names only tests that exist", () => {
    expect(missing(rows.flatMap(({ where }) => testsNamedIn(where)))).toEqual([]);
  });
});
