import { writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { withAnyStack, withJson } from "../lib/options.ts";
import { gitHubFrom } from "../lib/pipeline/github.ts";
import { publish } from "../lib/pipeline/github-release.ts";
import { checkRelease, packRelease } from "../lib/pipeline/release.ts";
import { result } from "../lib/terminal.ts";

interface Options {
  out: string;
  publish?: boolean;
  json?: boolean;
}

async function release(tag: string, options: Options): Promise<void> {
  const { version, notes } = checkRelease(tag);
  const out = resolve(options.out);
  const files = packRelease({ tag, version, out });
  writeFileSync(join(out, "notes.md"), `${notes}\n`);
  const hub = options.publish ? gitHubFrom(process.env) : null;
  const url = hub ? await publish(hub, { tag, notes, files }) : null;
  result(Boolean(options.json), { version, files, notes, url }, () =>
    [
      `${tag}: every file says ${version}`,
      ...files.map((file) => `  ${relative(process.cwd(), file)}`),
      ...(url === null ? [] : [`Published: ${url}`]),
    ].join("\n"),
  );
}

export function register(program: Command): void {
  withAnyStack(withJson(program.command("release")), "a release is of the project, not of one")
    .summary("check a version's tag, pack it, publish it")
    .description(
      "Checks that every file says the tag's version and the changelog has words on it, packs the tag's commit and its checksum. With --publish: as a release on GitHub.",
    )
    .argument("<tag>", "v<version>")
    .option("--out <folder>", "where the archive is written", "./release")
    .option("--publish", "make the release on GitHub; needs GITHUB_TOKEN and GITHUB_REPOSITORY")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet release v0.1.0\n  ./fleet release v0.1.0 --out dist --publish",
    )
    .action(release);
}
