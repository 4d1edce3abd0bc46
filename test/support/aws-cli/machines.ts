import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** Environment variable that names the {@link Account} file, for the stand-in and all that start it. */
export const ACCOUNT_FILE = "OPENCLAW_FLEET_TEST_AWS_ACCOUNT";

/** What the stand-in for the AWS CLI knows of an account; read anew at each call, so a test may change it. */
export interface Account {
  readonly region: string;
  /** By id: `i-…`. */
  readonly machines: Readonly<Record<string, Machine>>;
  /** Actions that are refused, e.g. `ssm:StartSession`. @default none */
  readonly denied?: readonly string[];
  /** How long a key that was sent counts, s. @default 60, as EC2 Instance Connect has it */
  readonly keySeconds?: number;
}

/** A machine, and where its sshd really listens. */
export interface Machine {
  readonly address: string;
  readonly port: number;
  /** @default "running" */
  readonly state?: "pending" | "running" | "stopped";
  /** Whether Systems Manager reaches its agent. @default true */
  readonly online?: boolean;
  /** Users that the machine has. @default ubuntu */
  readonly users?: readonly string[];
  /**
   * File that its sshd reads authorized keys from, whatever user logs in; `%u` in it is the user. It is made anew
   * with each call, of the keys that count then.
   */
  readonly authorizedKeys: string;
}

export function readAccount(path: string): Account {
  return JSON.parse(readFileSync(path, "utf8")) as Account;
}

/** In one piece: a call may read it at any moment. */
export function writeAccount(path: string, account: Account): void {
  writeFileSync(`${path}.new`, JSON.stringify(account, null, 2));
  renameSync(`${path}.new`, path);
}
