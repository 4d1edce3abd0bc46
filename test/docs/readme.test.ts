import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { beforeAll, describe, expect, test } from "vitest";
import { PRESETS, planFleet } from "../../stacks/presets.ts";
import { settingDocs } from "../../stacks/schema.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { allPages, anchor, page, tableRows } from "./pages.ts";

const readme = page("README.md");
const pages = allPages();
/** Pages that people follow by typing. Decisions may tell of what was refused. */
const guides = pages.filter(({ file }) => !file.startsWith(join("docs", "decisions")));

/** Commands of the program with their long and short options. */
const commands = new Map<string, Set<string>>();

beforeAll(async () => {
  const folder = join(PROJECT_ROOT, "cli", "commands");
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".ts"))) {
    const program = new Command().enablePositionalOptions();
    const module = (await import(join(folder, file))) as { register(program: Command): void };
    module.register(program);
    for (const command of program.commands) {
      const flags = command.options.flatMap(({ long, short }) => [long, short]);
      commands.set(command.name(), new Set(flags.filter((flag) => typeof flag === "string")));
    }
  }
});

/** Those hand what they do not know to Pulumi or vitest. */
const PASSING_ON = new Set(["pulumi", "up", "preview", "refresh", "destroy", "output", "test"]);

describe.each(guides.map((each) => [each.file, each] as const))("%s", (_, { text }) => {
  test("names commands and options that exist", () => {
    for (const [whole, name = "", rest = ""] of text.matchAll(
      /\.\/fleet ([a-z][a-z-]*)([^\n`|&;#]*)/g,
    )) {
      expect([...commands.keys()], whole).toContain(name);
      const options = rest.matchAll(/(?<=\s)(--[a-z-]+|-[a-z])\b/g);
      for (const [option] of options) {
        if (option === "--help" || PASSING_ON.has(name)) continue;
        expect([...(commands.get(name) ?? [])], whole).toContain(option);
      }
    }
  });

  test("names settings that exist", () => {
    const known = new Set(settingDocs().map(({ path }) => path.replaceAll("[]", "")));
    for (const [whole, path = ""] of text.matchAll(
      /openclaw-fleet:([a-z][A-Za-z0-9.]*[A-Za-z0-9])/g,
    )) {
      const open = ["openclaw", "models.providers"].some(
        (p) => path === p || path.startsWith(`${p}.`),
      );
      if (!open) expect(known, whole).toContain(path);
    }
  });
});

test("links lead to files and headings that exist", () => {
  const broken = pages.flatMap(({ file, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = ""]) => target)
      .filter((target) => !/^[a-z]+:/.test(target) && !leads(file, target))
      .map((target) => `${file} → ${target}`),
  );
  expect(broken).toEqual([]);
});

function leads(file: string, target: string): boolean {
  const [path = "", fragment] = target.split("#");
  const linked = join(PROJECT_ROOT, path === "" ? file : join(dirname(file), path));
  if (!existsSync(linked)) return false;
  if (fragment === undefined) return true;
  const content = readFileSync(linked, "utf8");
  const headings = [...content.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchor(heading));
  const anchors = [...content.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id);
  return [...headings, ...anchors].includes(fragment);
}

test("no page names a package registry or a folder of one machine", () => {
  const foreign =
    /registry\.[a-z]+|npmjs|proxy\.golang|(?<![\w.~])\/(root|home\/\w+|opt\/\w+|work|tmp\/\w+)\//;
  for (const { file, text } of pages) expect(foreign.exec(text)?.[0], file).toBeUndefined();
});

test("README: the presets are the code's", () => {
  const told = tableRows(readme, "preset").map((row) => row.slice(0, 6));
  const real = PRESETS.map(({ name, users, nodes, redis, nodeCores, nodeMemoryMiB }) => [
    name,
    users.max === null
      ? `> ${users.min - 1}`
      : users.min === 0
        ? `< ${users.max + 1}`
        : `${users.min}–${users.max}`,
    nodes.max === null
      ? `${nodes.min}+`
      : nodes.min === nodes.max
        ? `${nodes.min}`
        : `${nodes.min}–${nodes.max}`,
    redis,
    `${nodeCores}C/${nodeMemoryMiB / 1024}G`,
    String(planFleet({ target: "local", preset: name }).shards.length),
  ]);
  expect(told).toEqual(real);
});

test("README: every command has its line", () => {
  const told = tableRows(readme, "command").flatMap(([cell = ""]) =>
    cell.split(",").map((c) => c.trim().split(" ")[0]),
  );
  expect(told.sort()).toEqual([...commands.keys()].sort());
});

test("README: the folders are there", () => {
  for (const [folder = ""] of tableRows(readme, "folder")) {
    expect(existsSync(join(PROJECT_ROOT, folder)), folder).toBe(true);
  }
});
