import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import type { S3Credentials } from "./s3-sign.ts";

const file = z.object({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().optional(),
});

/** What AWS's own endpoints answer with. */
const answer = z.object({
  AccessKeyId: z.string(),
  SecretAccessKey: z.string(),
  Token: z.string().optional(),
  Expiration: z.string().optional(),
});

/** Temporary credentials are asked for anew so long before they end. */
const RENEW_BEFORE_MS = 300_000;
/** Those without an end are looked at again after this. */
const LOOK_AGAIN_MS = 60_000;
const ASK_MS = 3_000;
/** The address at which a machine of EC2 asks of itself (docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html). */
const METADATA = "http://169.254.169.254";
const ROLE = "/latest/meta-data/iam/security-credentials/";

/** Gives the credentials to sign with, and keeps them as long as they last. */
export type CredentialSource = () => Promise<S3Credentials>;

/**
 * Credentials of a file; without one, of the environment; else what AWS gives the pod (EKS Pod Identity, ECS) or
 * the machine.
 */
export function credentialSource(
  credentialsFile: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
  metadata = METADATA,
): CredentialSource {
  if (credentialsFile !== undefined) return fromFile(credentialsFile);
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = env;
  if (AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY) {
    const fixed = {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      sessionToken: AWS_SESSION_TOKEN,
    };
    return async () => fixed;
  }
  const pod = env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  return lasting(
    pod ? () => ofPod(pod, env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE) : () => ofMachine(metadata),
  );
}

function fromFile(path: string): CredentialSource {
  let read: { version: string; credentials: S3Credentials } | null = null;
  return async () => {
    const { mtimeMs, ino } = await stat(path);
    const version = `${ino} ${mtimeMs}`;
    if (read?.version !== version) {
      const credentials = file.parse(JSON.parse(await readFile(path, "utf8")));
      read = { version, credentials };
    }
    return read.credentials;
  };
}

function lasting(ask: () => Promise<z.infer<typeof answer>>): CredentialSource {
  let known: { until: number; credentials: S3Credentials } | null = null;
  return async () => {
    if (known && Date.now() < known.until) return known.credentials;
    const { AccessKeyId, SecretAccessKey, Token, Expiration } = await ask();
    const until = Expiration
      ? Date.parse(Expiration) - RENEW_BEFORE_MS
      : Date.now() + LOOK_AGAIN_MS;
    const credentials = {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: Token,
    };
    known = { until, credentials };
    return credentials;
  };
}

async function ofPod(url: string, tokenFile: string | undefined) {
  const headers: Record<string, string> = {};
  if (tokenFile) headers.authorization = (await readFile(tokenFile, "utf8")).trim();
  return answer.parse(JSON.parse(await ask(url, { headers })));
}

async function ofMachine(metadata: string) {
  const token = await ask(`${metadata}/latest/api/token`, {
    method: "PUT",
    headers: { "x-aws-ec2-metadata-token-ttl-seconds": "300" },
  });
  const headers = { "x-aws-ec2-metadata-token": token };
  const role = (await ask(metadata + ROLE, { headers })).split("\n")[0]?.trim();
  return answer.parse(JSON.parse(await ask(`${metadata}${ROLE}${role}`, { headers })));
}

async function ask(url: string, options: RequestInit): Promise<string> {
  const response = await fetch(url, { ...options, signal: AbortSignal.timeout(ASK_MS) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${new URL(url).pathname} answered ${response.status}`);
  return text;
}
