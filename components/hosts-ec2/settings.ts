import { z } from "zod";
import { ROOT_GIB, ROOT_MIN_GIB, STATE_MIN_GIB, VOLUME_MAX_GIB } from "./catalog.ts";

/** Settings of hosts on EC2 (`ec2`). */
export const ec2Settings = z.strictObject({
  architecture: z
    .enum(["arm64", "x86_64"])
    .default("arm64")
    .describe("arm64 (Graviton) or x86_64. Chosen once: hosts that exist cannot change it."),
  instanceType: z
    .string()
    .optional()
    .describe(
      "Class of every host, e.g. m7g.large; the cheapest that holds a node when left out. A change restarts one host after the other.",
    ),
  burstable: z
    .boolean()
    .optional()
    .describe(
      "Allow t classes, which are cheaper and charge more when busy for long; for nodes of up to two cores when left out.",
    ),
  ami: z
    .string()
    .regex(/^ami-[0-9a-f]{8,17}$/, "the id of an image, e.g. ami-0123456789abcdef0")
    .optional()
    .describe(
      "Image of the hosts. When left out, a host keeps the image that was newest when it was made. A change replaces one host after the other; what they hold stays.",
    ),
  rootGiB: z
    .int()
    .min(ROOT_MIN_GIB)
    .max(VOLUME_MAX_GIB)
    .default(ROOT_GIB)
    .describe(`System disk of each host, GiB, ${ROOT_GIB} when left out. It can only grow.`),
  stateGiB: z
    .int()
    .min(STATE_MIN_GIB)
    .max(VOLUME_MAX_GIB)
    .optional()
    .describe(
      "Disk of each host for conversations, GiB; as planned from the shards when left out. Grows while it runs, and never shrinks.",
    ),
});

export type Ec2Settings = z.output<typeof ec2Settings>;
