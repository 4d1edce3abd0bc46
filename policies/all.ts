import { AVAILABILITY } from "./availability.ts";
import { ENCRYPTION } from "./encryption.ts";
import { EXPOSURE } from "./exposure.ts";
import { HYGIENE } from "./hygiene.ts";
import { IDENTITY } from "./identity.ts";
import { MONEY } from "./money.ts";
import { ONE_WRITER } from "./one-writer.ts";
import type { Policy } from "./policy.ts";
import { WORKLOAD } from "./workloads.ts";

/** Every policy, group by group. */
export const POLICIES: readonly Policy[] = [
  ...EXPOSURE,
  ...ENCRYPTION,
  ...IDENTITY,
  ...AVAILABILITY,
  ...ONE_WRITER,
  ...WORKLOAD,
  ...MONEY,
  ...HYGIENE,
];
