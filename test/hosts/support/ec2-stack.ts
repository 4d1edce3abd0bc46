import { dirname, join } from "node:path";
import { expect } from "vitest";
import { cacheDir } from "../../../toolchain/paths.ts";
import { type AwsStack, awsStack } from "../../engine/aws/harness.ts";
import { furnish, type PresetName, settingsOf } from "../../engine/aws/stacks.ts";
import { BUCKET } from "../../standin/rules/s3.ts";
import { ACCOUNT_FILE } from "../../support/aws-cli/machines.ts";
import { AwsServices } from "./aws-services.ts";
import { Ec2Machines } from "./ec2-machines.ts";
import type { FleetOutputs } from "./fleet-client.ts";
import { TestHosts } from "./lab.ts";

const REGION = "eu-central-1";
/** More than one node's conversations are planned with. A sparse file. */
const DATA_MIB = 65_536;
const AWS_CLI = join(import.meta.dirname, "../../support/aws-cli/bin");

const SECRET_VERSION = "aws:secretsmanager/secretVersion:SecretVersion";

/** Settings below `ec2`, without the architecture, which is this machine's. */
export type Ec2Wish = Readonly<Record<string, unknown>> & { readonly ami: string };

export interface Ec2StackOptions {
  readonly preset: PresetName;
  /** Names of the nodes, in the plan's order. */
  readonly nodes: readonly string[];
  /** Settings of the stack beside its target, preset and machines. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly ec2: Ec2Wish;
}

/**
 * A stack on `ec2` whose machines are there. AWS is a stand-in, and so is its command line; all else is real:
 * Pulumi's engine, the provider, OpenSSH, systemd, S3, Nginx, OpenClaw.
 */
export class Ec2Stack {
  readonly lab: TestHosts;
  readonly aws: AwsServices;
  readonly machines: Ec2Machines;
  readonly stack: AwsStack;
  readonly #options: Ec2StackOptions;

  private constructor(
    options: Ec2StackOptions,
    parts: { lab: TestHosts; aws: AwsServices; machines: Ec2Machines; stack: AwsStack },
  ) {
    this.#options = options;
    this.lab = parts.lab;
    this.aws = parts.aws;
    this.machines = parts.machines;
    this.stack = parts.stack;
  }

  static async make(options: Ec2StackOptions): Promise<Ec2Stack> {
    const { nodes } = options;
    const lab = await TestHosts.create({ hosts: nodes, off: nodes, dataMiB: DATA_MIB });
    const accountFile = join(dirname(lab.identityFile), "account.json");
    const aws = await AwsServices.start(lab, REGION);
    const machines = await Ec2Machines.start({
      lab,
      accountFile,
      region: REGION,
      image: (host) => aws.lead(host, bucketOf(stack), cacheOf(stack)),
    });
    const stack = await awsStack({
      settings: linesOf(options, options.ec2),
      ownProvider: true,
      programs: AWS_CLI,
      env: {
        XDG_CACHE_HOME: dirname(cacheDir()),
        STANDIN_MACHINES: machines.url,
        [ACCOUNT_FILE]: accountFile,
      },
    });
    stack.account((world) => {
      furnish(world, REGION);
      world.settings = {
        ...world.settings,
        machines: machines.addresses,
        balancer: lab.machine,
      };
    });
    return new Ec2Stack(options, { lab, aws, machines, stack });
  }

  /** Name of the account's bucket for replicas. */
  get bucket(): string {
    return bucketOf(this.stack);
  }

  /** Sets other machines; the next `up` makes them so. */
  wish(ec2: Ec2Wish): void {
    this.stack.settings(linesOf(this.#options, ec2));
  }

  /** `pulumi up`, which must succeed; what it said. */
  async up(): Promise<string> {
    const { code, text } = await this.stack.up();
    expect(code, code === 0 ? "" : text + (await this.#journals())).toBe(0);
    await this.machines.booted();
    return text;
  }

  /** Last words of what runs, for a test that failed. */
  async #journals(): Promise<string> {
    const running = this.lab.hosts.filter((host) => host.running);
    return (await Promise.all(running.map((host) => host.journal()))).join("\n\n");
  }

  async outputs(): Promise<FleetOutputs> {
    const args = ["stack", "output", "--json", "--show-secrets"];
    return JSON.parse((await this.stack.pulumi(args)).stdout) as FleetOutputs;
  }

  async close(): Promise<void> {
    this.stack.remove();
    await this.machines.close();
    await this.aws.close();
    await this.lab.close();
  }
}

function linesOf({ preset, settings }: Ec2StackOptions, ec2: Ec2Wish): string[] {
  const architecture = process.arch === "arm64" ? "arm64" : "x86_64";
  return settingsOf("ec2", preset, {
    domain: undefined,
    dns: undefined,
    environment: "dev",
    ...settings,
    ec2: { architecture, ...ec2 },
  });
}

function bucketOf(stack: AwsStack): string {
  return stack.account((world) => {
    const found = world.of(BUCKET).find(({ urn }) => urn.includes("replicas"));
    if (!found) throw new Error("the account has no bucket for replicas");
    return found.id;
  });
}

/** Address of the stack's cache as its secret has it; null: it has none. */
function cacheOf(stack: AwsStack): URL | null {
  return stack.account((world) => {
    const texts = world.of(SECRET_VERSION).map(({ inputs }) => String(inputs.secretString));
    const text = texts.find((one) => one.includes("rediss://"));
    return text ? new URL((JSON.parse(text) as { readonly url: string }).url) : null;
  });
}
