import { isCancel, select, text } from "@clack/prompts";
import { PRESETS } from "../../stacks/presets.ts";
import { CommandFailed } from "./errors.ts";
import type { Answers } from "./first-settings.ts";
import { RULES, type Rule } from "./init-values.ts";

/** Answers so far; everything that has one is not asked. */
export type Partly = Partial<Answers> & { stack: string };

const output = process.stderr;

/** What a stack's name says of its purpose. */
export const environmentOf = (stack: string): "prod" | "staging" | "dev" =>
  /^prod/.test(stack) ? "prod" : /^stag/.test(stack) ? "staging" : "dev";

/** Asks for what no option gave. Sizes have good defaults, so only what people differ in is asked. */
export async function askFor(given: Partly): Promise<Partly> {
  const so: Partly = { ...given };
  const ask = async <K extends keyof Answers>(key: K, question: () => Promise<unknown>) => {
    if (so[key] !== undefined) return;
    const answer = await question();
    // What was answered is not lost: it stands in the command that goes on.
    if (isCancel(answer)) {
      throw new CommandFailed("Nothing was written", "you left the questions", resume(so));
    }
    if (answer !== "" && answer !== undefined) so[key] = answer as Partly[K];
  };
  await ask("target", () =>
    select({
      message: "Where?",
      output,
      options: [
        { value: "local", label: "this machine" },
        { value: "hosts", label: "Linux machines that I have", hint: "over SSH" },
        { value: "ec2", label: "AWS, machines", hint: "from one host up" },
        { value: "eks", label: "AWS, Kubernetes", hint: "EKS with Karpenter" },
      ],
    }),
  );
  const cloud = so.target === "ec2" || so.target === "eks";
  if (so.target !== "local") {
    await ask("environment", () =>
      select({
        message: "What for?",
        output,
        initialValue: environmentOf(so.stack) as string,
        options: [
          { value: "prod", label: "prod", hint: "data is protected" },
          { value: "staging", label: "staging", hint: "gone after one destroy" },
          { value: "dev", label: "dev", hint: "gone after one destroy" },
        ],
      }),
    );
  }
  if (cloud) {
    await ask("account", () => line("Which AWS account? Twelve digits", RULES.account));
    await ask("region", () => line("Which region?", RULES.region, "eu-central-1"));
  }
  if (so.target === "hosts") {
    await ask("host", () => list("Which hosts? user@address, with commas between", RULES.host));
  }
  if (so.target !== "local") {
    const must = cloud && so.environment === "prod";
    const message = must
      ? "Under which name do people reach it? In a zone of yours on Route 53"
      : "Under which name do people reach it? Empty: none, and no certificate that everybody trusts";
    await ask("domain", () => line(message, RULES.domain, must ? undefined : ""));
  }
  await ask("preset", () => select({ message: "How large?", output, options: sizes(so) }));
  if (cloud) {
    await ask("budget", async () => {
      const message = "What may it cost a month, US dollars? Empty: not said";
      const answer = await line(message, RULES.dollars, "");
      return isCancel(answer) || answer === "" ? answer : Number(answer);
    });
  }
  if (so.target === "eks") {
    const admins = "Who administers the cluster? ARNs, with commas between; you among them";
    await ask("admin", () => list(admins, RULES.admin));
    const access = "Who reaches the Kubernetes API? CIDRs with commas between, or private";
    await ask("allow", () => list(access, RULES.allow));
  }
  await ask("models", () =>
    line("Which model? demo (no key needed), or provider/model", RULES.models, "demo"),
  );
  return so;
}

function sizes({ target }: Partly): { value: string; label: string; hint: string }[] {
  const rows = PRESETS.map(({ name, users, nodes }) => ({
    value: name as string,
    label: name as string,
    hint: `${users.max === null ? `above ${users.min - 1}` : `up to ${users.max}`} users, ${nodes.default} nodes`,
  }));
  if (target !== "local") return rows;
  return [
    { value: "", label: "2 nodes, 2 shards", hint: "the least that survives a loss" },
    ...rows,
  ];
}

/** One line; `fallback` is what Enter alone means, none: an answer is wanted. */
function line(message: string, rule: Rule, fallback?: string): Promise<string | symbol> {
  return text({
    message,
    output,
    ...(fallback === undefined ? {} : { placeholder: fallback, defaultValue: fallback }),
    validate: (given) => {
      if (!given) return fallback === undefined ? "This one is needed" : undefined;
      const wanted = rule(given);
      return wanted === null ? undefined : `It must be ${wanted}`;
    },
  });
}

async function list(message: string, rule: Rule): Promise<string[] | symbol> {
  const each: Rule = (given) =>
    given
      .split(",")
      .map((part) => rule(part.trim()))
      .find((wanted) => wanted !== null) ?? null;
  const answer = await line(message, each);
  return isCancel(answer) ? answer : (answer as string).split(",").map((part) => part.trim());
}

/** Options by the name of their answer. */
export const OPTION_OF: Readonly<Partial<Record<keyof Answers, string>>> = {
  target: "--target",
  environment: "--environment",
  account: "--account",
  region: "--region",
  host: "--host",
  domain: "--domain",
  preset: "--preset",
  budget: "--budget",
  admin: "--admin",
  allow: "--allow",
};

/** The command that asks only for the rest. */
export function resume(so: Partly): string {
  const parts = Object.entries(OPTION_OF).flatMap(([key, option]) => {
    const value = so[key as keyof Answers];
    if (value === undefined) return [];
    return [`${option} ${Array.isArray(value) ? value.join(",") : String(value)}`];
  });
  return ["./fleet init --stack", so.stack, ...parts].join(" ");
}
