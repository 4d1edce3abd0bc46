import { InvalidArgumentError } from "commander";

/** Checks of what a person types for `init`, the same for options and questions: null, or what is wanted. */
export type Rule = (given: string) => string | null;

const form =
  (pattern: RegExp, wanted: string): Rule =>
  (given) =>
    pattern.test(given) ? null : wanted;

export const RULES = {
  account: form(/^\d{12}$/, "the twelve digits of an AWS account"),
  region: form(/^[a-z]{2}(-[a-z]+)+-\d$/, "a region, e.g. eu-central-1"),
  domain: form(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/, "a name, e.g. chat.example.com"),
  admin: form(
    /^arn:aws[a-z-]*:iam::\d{12}:(role|user)\/\S+$/,
    "the ARN of an IAM role or user, e.g. arn:aws:iam::123456789012:role/deploy",
  ),
  allow: form(
    /^(private|\d{1,3}(\.\d{1,3}){3}\/\d{1,2})$/,
    "a CIDR such as 203.0.113.7/32, or private",
  ),
  branch: form(/^[^\s*?:]+$/, "one name, without wildcards"),
  host: form(/^([a-z_][a-z0-9_-]*@)?[A-Za-z0-9.:-]+$/, "user@address, e.g. root@192.0.2.11"),
  models: form(/^(demo|[A-Za-z0-9][\w.-]*\/\S+)$/, "demo, or provider/model as OpenClaw writes it"),
  variable: form(
    /^[A-Za-z_][A-Za-z0-9_]*$/,
    "the name of an environment variable, not the key itself",
  ),
  secretsProvider: form(
    /^[a-z]+:\/\/\S+$/,
    "e.g. awskms://alias/openclaw-fleet-state?region=eu-central-1",
  ),
  address: (given: string) =>
    URL.canParse(given) && /^https?:/.test(given) ? null : "an http or https address",
  dollars: (given: string) =>
    given.trim() !== "" && Number.isFinite(Number(given)) && Number(given) > 0
      ? null
      : "US dollars a month, e.g. 250",
} as const satisfies Record<string, Rule>;

/** A value of an option. */
export const checked = (rule: Rule) => (given: string) => {
  const wanted = rule(given);
  if (wanted === null) return given;
  throw new InvalidArgumentError(`It must be ${wanted}.`);
};

/** An option that may be given several times, or once with commas. */
export const several = (rule: Rule) => (given: string, before: string[] | undefined) => [
  ...(before ?? []),
  ...given.split(",").map((each) => checked(rule)(each.trim())),
];

/** A number of an option. */
export const dollars = (given: string) => Number(checked(RULES.dollars)(given));

export const whole = (least: number, most: number) => (given: string) => {
  const n = Number(given);
  if (given.trim() !== "" && Number.isInteger(n) && n >= least && n <= most) return n;
  throw new InvalidArgumentError(`A whole number from ${least} to ${most}.`);
};
