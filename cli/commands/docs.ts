import type { Command } from "commander";
import { closest } from "fastest-levenshtein";
import { docsFor, type SettingDoc, settingDocs } from "../../stacks/schema.ts";
import { CommandFailed } from "../lib/errors.ts";
import { withAnyStack, withJson } from "../lib/options.ts";
import { paint, result, table } from "../lib/terminal.ts";
import { columnsOf, wrap } from "../lib/wrap.ts";

const one = (doc: SettingDoc): string =>
  [
    `${paint("bold", doc.path)}  ${doc.type}${doc.default === undefined ? "" : `, default ${doc.default}`}`,
    wrap(`  ${doc.description}`, columnsOf(), 2),
  ].join("\n");

function all(docs: SettingDoc[]): string {
  const top = docs.filter(({ path }) => !/[.[]/.test(path));
  return [
    "Settings go below `config:` in Pulumi.<stack>.yaml, each as openclaw-fleet:NAME.",
    "",
    table(
      ["SETTING", "KIND", "DEFAULT"],
      top.map((doc) => [doc.path, doc.type, doc.default ?? (doc.required ? "required" : "–")]),
    ),
    "",
    "./fleet docs NAME tells what one means and what is below it.",
  ].join("\n");
}

export function register(program: Command): void {
  withAnyStack(withJson(program.command("docs")), "settings mean the same in all of them")
    .summary("what the settings mean")
    .argument("[setting]", "one setting, and what is below it")
    .addHelpText("after", "\nExamples:\n  ./fleet docs\n  ./fleet docs agents")
    .action((name: string | undefined, options: { json?: boolean }) => {
      const docs = name === undefined ? settingDocs() : docsFor(name);
      if (docs.length === 0) {
        const near = closest(
          name ?? "",
          settingDocs().map((doc) => doc.path),
        );
        throw new CommandFailed(
          `${name} is not a setting. Did you mean ${near}?`,
          undefined,
          "./fleet docs lists them",
        );
      }
      result(Boolean(options.json), { settings: docs }, () =>
        name === undefined ? all(docs) : docs.map(one).join("\n\n"),
      );
    });
}
