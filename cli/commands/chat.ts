import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { UsageError } from "../lib/errors.ts";
import { type FleetAccess, fleetAccess } from "../lib/fleet.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result, say } from "../lib/terminal.ts";
import { ask, printTurn } from "../lib/turn.ts";

interface Options {
  stack: string;
  json?: boolean;
  agent: string;
  session?: string;
}

async function turn(access: FleetAccess, options: Options, message: string): Promise<void> {
  // Named here, so that asking again after a loss means the same conversation.
  const session = options.session ?? newSession();
  const question = { agent: options.agent, session, message };
  if (!options.json) return printTurn(access, question);
  const answer = await ask(access, question);
  result(true, answer, () => answer.reply);
}

const newSession = () => `cli-${randomUUID().slice(0, 8)}`;

/** Without a text and at a terminal: one line, one turn, until end of input. */
async function converse(access: FleetAccess, options: Options): Promise<void> {
  const session = options.session ?? newSession();
  say(`Talking to ${options.agent} in session ${session}. An empty line or Ctrl-D ends it.`);
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: "> " });
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() === "") break;
    await turn(access, { ...options, session }, line);
    lines.prompt();
  }
  lines.close();
}

export function register(program: Command): void {
  withJson(withStack(program.command("chat")))
    .summary("talk to an agent")
    .argument("[text...]", "what to say; without it, a conversation at the terminal")
    .option("-a, --agent <name>", "the agent to talk to", "main")
    .option("--session <name>", "go on in this conversation")
    .addHelpText(
      "after",
      '\nExamples:\n  ./fleet chat "what can you do?"\n  ./fleet chat --agent support --session alice "and my invoice?"',
    )
    .action(async (words: string[], options: Options) => {
      const access = await fleetAccess(options.stack);
      if (words.length > 0) return turn(access, options, words.join(" "));
      if (!process.stdin.isTTY) {
        throw new UsageError("chat wants a text when there is no terminal: ./fleet chat TEXT");
      }
      await converse(access, options);
    });
}
