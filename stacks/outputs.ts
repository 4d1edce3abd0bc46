import type * as pulumi from "@pulumi/pulumi";

/** What every stack exports. Targets add what others may take over or a command needs. */
export interface StackOutputs {
  /** URL that people use. */
  readonly endpoint: pulumi.Input<string>;
  /** Client token; a secret. */
  readonly token: pulumi.Input<string>;
  /** Token of administrators; a secret. */
  readonly adminToken: pulumi.Input<string>;
  readonly target: string;
  readonly preset: string;
  /** Ids. */
  readonly nodes: string[];
  /** Ids. */
  readonly shards: string[];
  readonly [more: string]: unknown;
}
