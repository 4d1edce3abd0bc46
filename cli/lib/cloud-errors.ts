import { createRequire } from "node:module";

/** What went wrong, in one sentence, and what to do. */
export interface Explained {
  what: string;
  fix: string;
}

const LOGIN =
  "sign in (aws sso login, or aws configure), or export AWS_PROFILE, then run this again";

/** Words of AWS and Pulumi that people meet first, and what they mean. */
const KNOWN: readonly (readonly [RegExp, (match: RegExpExecArray) => Explained])[] = [
  [
    /account ID not allowed: (\d{12})/i,
    ([, account]) => ({
      what: `your identity is in account ${account}, and openclaw-fleet:aws.accountId names another one`,
      fix: "choose the right profile (AWS_PROFILE), set aws.assumeRoleArn, or correct aws.accountId",
    }),
  ],
  [
    /ExpiredToken|token (included in the request )?(is|has) expired|InvalidGrantException|SSOProviderInvalidToken|failed to refresh cached credentials/i,
    () => ({ what: "your sign-in to AWS has expired", fix: LOGIN }),
  ],
  [
    /no valid credential sources|NoCredentialProviders|no EC2 IMDS role found|unable to load(?:ing)? credentials|static credentials are empty/i,
    () => ({ what: "no credentials for AWS were found", fix: LOGIN }),
  ],
  [
    /InvalidClientTokenId|SignatureDoesNotMatch|security token included in the request is invalid/i,
    () => ({ what: "AWS does not know these credentials", fix: LOGIN }),
  ],
  [
    /AccessDenied[\s\S]*sts:AssumeRole|not authorized to perform: sts:AssumeRole/i,
    () => ({
      what: "your identity may not take on the role in openclaw-fleet:aws.assumeRoleArn",
      fix: "let the role's trust policy name you, or sign in as somebody it names",
    }),
  ],
  [
    /no resource plugin '?pulumi-resource-(\w+)/i,
    ([, name]) => ({
      what: `Pulumi's provider ${name} is not installed`,
      fix: `./fleet pulumi plugin install resource ${name} ${packageVersion(name as string)}`,
    }),
  ],
];

/** What Pulumi's output says was wrong: a known sentence, or its own last errors. */
export function explainCloud(output: string): Explained {
  for (const [pattern, explain] of KNOWN) {
    const match = pattern.exec(output);
    if (match) return explain(match);
  }
  const errors = output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^(error:|openclaw-fleet:|Pulumi\.\S+\.yaml:)/.test(line))
    .map((line) => line.replace(/^error: /, ""))
    .filter((line) => !/^(preview failed|update failed|an unhandled error)/.test(line));
  const what = [...new Set(errors)].slice(0, 5).join("\n");
  return {
    what: what || "the program ended before it looked at the account",
    fix: "./fleet preview shows all of Pulumi's words",
  };
}

function packageVersion(name: string): string {
  try {
    const require = createRequire(import.meta.url);
    return (require(`@pulumi/${name}/package.json`) as { version: string }).version;
  } catch {
    return "";
  }
}
