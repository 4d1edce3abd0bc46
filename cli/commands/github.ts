import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { withAnyStack } from "../lib/options.ts";
import { gitHubFrom, putComment, putIssue } from "../lib/pipeline/github.ts";
import { fitted } from "../lib/pipeline/markdown.ts";

interface CommentOptions {
  file: string;
  mark: string;
}

interface IssueOptions {
  title: string;
  mark?: string;
  file?: string;
  close?: boolean;
}

const WORDS = {
  made: "Made",
  updated: "Updated",
  closed: "Closed",
  left: "Left as it is",
} as const;

function number(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("It must be the number of a pull request or issue.");
}

/** Marks stand in an HTML comment, which they must not end. */
function mark(text: string): string {
  if (/^[\w./: -]{1,80}$/.test(text) && !text.includes("--")) return text;
  throw new InvalidArgumentError("A mark is letters, digits and . / : - with spaces, up to 80.");
}

function read(file: string): string {
  try {
    return fitted(readFileSync(file, "utf8").trimEnd());
  } catch (error) {
    throw new CommandFailed(`${file} cannot be read`, (error as NodeJS.ErrnoException).code);
  }
}

async function comment(of: number, { file, mark }: CommentOptions): Promise<void> {
  const text = read(file);
  const { did, url } = await putComment(gitHubFrom(process.env), { number: of, mark, text });
  process.stdout.write(`${WORDS[did]}: ${url}\n`);
}

async function issue({ title, mark = title, file, close }: IssueOptions): Promise<void> {
  if ((file === undefined) === (close !== true)) {
    throw new UsageError("github issue needs --file with what is wrong, or --close");
  }
  const text = file === undefined ? null : read(file);
  const done = await putIssue(gitHubFrom(process.env), { title, mark, text });
  process.stdout.write(done ? `${WORDS[done.did]}: ${done.url}\n` : "No open issue of this mark\n");
}

export function register(program: Command): void {
  const taken = (command: Command) => withAnyStack(command, "a report stands for itself");
  const github = taken(program.command("github"))
    .summary("put a report where people read it: one comment, one issue")
    .description(
      "Puts a file as the one comment of a pull request, or the one issue of something wrong, and changes it the next time. Reads GITHUB_TOKEN, GITHUB_REPOSITORY and GITHUB_API_URL, as workflows have them.",
    )
    .helpCommand(false)
    .addHelpText(
      "after",
      '\nExamples:\n  ./fleet github comment 12 --file preview.md --mark preview\n  ./fleet github issue --title "prod has drifted" --file drift.md\n  ./fleet github issue --title "prod has drifted" --close',
    );
  taken(github.command("comment"))
    .description("One comment on a pull request or issue, changed when it is there.")
    .argument("<number>", "of the pull request or issue", number)
    .requiredOption("--file <file>", "its text, Markdown")
    .option("--mark <name>", "by which it is found again", mark, "preview")
    .action(comment);
  taken(github.command("issue"))
    .description("One open issue, changed while it is open; --close when all is well again.")
    .requiredOption("--title <text>", "its title")
    .option("--mark <name>", "by which it is found again; the title when left out", mark)
    .option("--file <file>", "its text, Markdown")
    .option("--close", "close it, where one is open")
    .action(issue);
}
