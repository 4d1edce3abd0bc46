import { randomBytes, X509Certificate } from "node:crypto";
import { z } from "zod";
import { faultsOfKnown } from "../faults.ts";
import type { CheckFailure, Diff, Handler, Operation } from "../handler.ts";
import { differences, type Props, reveal, secret, UNKNOWN } from "../values.ts";
import type { KeyPair } from "./authority.ts";
import { makeSshKey } from "./ssh-key.ts";

/** Inputs of `openclaw:host:Credentials`. */
const credentialsInputs = z.strictObject({
  /** Name of the fleet: the stack. */
  fleet: z.string(),
  /** Certificates: common name to the DNS names and addresses it is called by. */
  certificates: z.record(z.string(), z.array(z.string()).min(1)),
  /** Names of passwords to make, e.g. `redis.fleet`. */
  passwords: z.array(z.string()),
  /** Names of SSH keys to make, e.g. `sftp.a`. */
  sshKeys: z.array(z.string()),
  /** Own tokens; what is missing is made. */
  tokens: z.strictObject({
    client: z.array(z.string().min(24)).optional(),
    admin: z.string().min(24).optional(),
  }),
  /** Days a certificate lasts. */
  certificateDays: z.number().int().positive(),
  /** A larger number makes new certificates and keys, by the same authority. */
  generation: z.number().int().nonnegative(),
  /**
   * Steps of the exchange of the authority, counted on for ever. Remainder of 3: 0 one authority;
   * 1 the next one is trusted as well; 2 certificates are the next one's, the old one is still trusted.
   */
  authorityStep: z.number().int().nonnegative(),
});
export type CredentialsInputs = z.infer<typeof credentialsInputs>;

/** What the state keeps, all of it secret: what was made, by name. */
interface Kept {
  /** The one that signs, or signs next, first; at most two. */
  readonly authorities: readonly KeyPair[];
  readonly certificates: Readonly<Record<string, KeyPair>>;
  /** What each certificate was made for; another one is made when this differs. */
  readonly madeFor: Readonly<Record<string, string>>;
  readonly passwords: Readonly<Record<string, string>>;
  readonly sshKeys: Readonly<Record<string, { key: string; pub: string }>>;
  readonly tokens: { readonly client: string[]; readonly admin: string; readonly peer: string };
}

/** A certificate is made anew by the first `up` in the last third of its life. */
const RENEW_AT = 2 / 3;
const DAY_MS = 86_400_000;
/** Bytes of a made token or password: 43 characters, no quoting needed anywhere. */
const RANDOM_BYTES = 32;
/** Steps of one exchange of the authority. */
export const AUTHORITY_STEPS = 3;

/**
 * `openclaw:host:Credentials`: tokens, passwords, SSH keys and the fleet's own certificate authority with
 * what it signed. Made once and kept encrypted in the state; the outputs are `secrets` (by the names that
 * plans use: `token.admin`, `tls.<name>.cert` …), `caCertificate` and `expires`.
 */
export class CredentialsHandler implements Handler {
  readonly #now: () => Date;

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
  }

  check(olds: Props | undefined, news: Props): { inputs: Props; failures: CheckFailure[] } {
    const known = reveal<Partial<CredentialsInputs>>(news);
    const failures = faultsOfKnown(credentialsInputs, known);
    const before = olds && reveal<Partial<CredentialsInputs>>(olds).authorityStep;
    const step = known.authorityStep ?? 0;
    if (before !== undefined && failures.length === 0 && step !== before && step !== before + 1) {
      failures.push({
        property: "authorityStep",
        reason:
          `goes from ${before} to ${step}; hosts that trust only one authority would not know the other. ` +
          `Set certificates.authorityStep back to ${before} and run ./fleet up --stack ${known.fleet}; ./fleet rotate-certs --authority --stack ${known.fleet} goes on from there, one step at a time`,
      });
    }
    return { inputs: news, failures };
  }

  diff(state: Props, oldInputs: Props, news: Props): Diff {
    const changes = differences(reveal(oldInputs), reveal(news));
    const inputs = credentialsInputs.safeParse(reveal(news));
    const due = inputs.success && this.#due(reveal<{ kept?: Kept }>(state).kept, inputs.data);
    return due
      ? {
          changes: [...changes, { path: "expires", kind: "update" }],
          replaces: [],
          outputOnly: ["expires"],
        }
      : { changes, replaces: [] };
  }

  async create(news: Props, { preview }: Operation & { preview: boolean }) {
    if (preview) return { id: "", state: unknownState(news) };
    const inputs = credentialsInputs.parse(reveal(news));
    return { id: inputs.fleet, state: await this.#make(news, inputs, undefined) };
  }

  async read(_id: string, state: Props | undefined, inputs: Props | undefined) {
    // They are nowhere but in the state: without one there is nothing to be found.
    return state && inputs ? { state, inputs } : null;
  }

  async update(
    _id: string,
    state: Props,
    news: Props,
    operation: Operation & { preview: boolean },
  ): Promise<Props> {
    if (operation.preview) return unknownState(news);
    const inputs = credentialsInputs.parse(reveal(news));
    const olds = reveal<{ kept?: Kept; authorityStep?: number; generation?: number }>(state);
    return await this.#make(news, inputs, olds);
  }

  async delete(): Promise<void> {
    // Nothing exists outside the state.
  }

  async #make(
    news: Props,
    inputs: CredentialsInputs,
    olds: { kept?: Kept; authorityStep?: number; generation?: number } | undefined,
  ): Promise<Props> {
    const { issue, makeAuthority } = await import("./authority.ts");
    const now = this.#now();
    const kept = olds?.kept;
    const phase = inputs.authorityStep % AUTHORITY_STEPS;
    let authorities = [...(kept?.authorities ?? [await makeAuthority(inputs.fleet, now)])];
    if (kept && olds?.authorityStep !== inputs.authorityStep) {
      if (phase === 1)
        authorities = [...authorities.slice(0, 1), await makeAuthority(inputs.fleet, now)];
      if (phase === 2) authorities.reverse();
      if (phase === 0) authorities = authorities.slice(0, 1);
    }
    const [signing] = authorities as [KeyPair];
    const anew =
      olds?.generation !== inputs.generation || kept?.authorities[0]?.cert !== signing.cert;
    const madeFor = purposes(inputs);
    const certificates: Record<string, KeyPair> = {};
    for (const [name, addresses] of Object.entries(inputs.certificates)) {
      const there = kept?.certificates[name];
      const usable =
        !anew &&
        there !== undefined &&
        kept?.madeFor[name] === madeFor[name] &&
        !this.#isDue(notAfter(there.cert), inputs.certificateDays);
      const request = { fleet: inputs.fleet, name, addresses, days: inputs.certificateDays };
      certificates[name] = usable ? there : await issue(signing, request, now);
    }
    const made: Kept = {
      authorities,
      certificates,
      madeFor,
      passwords: named(inputs.passwords, (name) => kept?.passwords[name] ?? random()),
      sshKeys: named(inputs.sshKeys, (name) => kept?.sshKeys[name] ?? makeSshKey()),
      tokens: {
        client: inputs.tokens.client ?? kept?.tokens.client ?? [random()],
        admin: inputs.tokens.admin ?? kept?.tokens.admin ?? random(),
        peer: kept?.tokens.peer ?? random(),
      },
    };
    const expires = Object.fromEntries(
      Object.entries(certificates).map(([name, { cert }]) => [name, notAfter(cert).toISOString()]),
    );
    const caCertificate = authorities.map(({ cert }) => cert).join("");
    return {
      ...news,
      kept: secret(made),
      secrets: secret(secretsOf(made, caCertificate)),
      caCertificate,
      expires,
    };
  }

  #due(kept: Kept | undefined, inputs: CredentialsInputs): boolean {
    return Object.values(kept?.certificates ?? {}).some(({ cert }) =>
      this.#isDue(notAfter(cert), inputs.certificateDays),
    );
  }

  #isDue(end: Date, days: number): boolean {
    return end.getTime() - this.#now().getTime() < days * DAY_MS * (1 - RENEW_AT);
  }
}

/** Last moment at which a certificate is good. */
const notAfter = (cert: string): Date => new X509Certificate(cert).validToDate;

/** Values by the names that plans use between `{{secret` and `}}`. */
function secretsOf(made: Kept, caCertificate: string): Record<string, string> {
  const all: Record<string, string> = {
    "tls.ca": caCertificate,
    "token.admin": made.tokens.admin,
    "token.client": made.tokens.client[0] ?? "",
    "token.peer": made.tokens.peer,
    ...made.passwords,
  };
  made.tokens.client.forEach((token, i) => {
    all[`token.client.${i}`] = token;
  });
  for (const [name, { cert, key }] of Object.entries(made.certificates)) {
    all[`tls.${name}.cert`] = cert;
    all[`tls.${name}.key`] = key;
  }
  for (const [name, { key, pub }] of Object.entries(made.sshKeys)) {
    all[`${name}.key`] = key;
    all[`${name}.pub`] = pub;
  }
  return all;
}

/** What decides a certificate, as text. */
function purposes(inputs: CredentialsInputs): Record<string, string> {
  return Object.fromEntries(
    Object.entries(inputs.certificates).map(([name, addresses]) => [
      name,
      JSON.stringify([...addresses].sort()),
    ]),
  );
}

function unknownState(news: Props): Props {
  return {
    ...news,
    kept: secret(UNKNOWN),
    secrets: secret(UNKNOWN),
    caCertificate: UNKNOWN,
    expires: UNKNOWN,
  };
}

const random = () => randomBytes(RANDOM_BYTES).toString("base64url");

const named = <T>(names: readonly string[], make: (name: string) => T): Record<string, T> =>
  Object.fromEntries(names.map((name) => [name, make(name)]));
