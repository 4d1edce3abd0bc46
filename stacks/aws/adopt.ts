import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { ConfigError } from "../../components/errors.ts";
import { formatPath } from "../setting-path.ts";
import { type AdoptedLayer, LAYER_SHAPES } from "./layers.ts";
import type { AdoptSettings } from "./settings.ts";

type Shapes = { [L in AdoptedLayer]: z.output<(typeof LAYER_SHAPES)[L]> };

/** A layer that exists: as written down, or as the stack that made it exports it. */
export async function adoptLayer<L extends AdoptedLayer>(
  layer: L,
  adopt: AdoptSettings,
): Promise<Shapes[L]> {
  const given = adopt[layer] ?? {};
  if (!("fromStack" in given)) return LAYER_SHAPES[layer].parse(given) as Shapes[L];
  const name = String(given.fromStack);
  const { value, secretValue } = await new pulumi.StackReference(name).getOutputDetails(layer);
  const found = value ?? secretValue;
  const parsed = LAYER_SHAPES[layer].safeParse(found);
  if (parsed.success) return parsed.data as Shapes[L];
  const [issue] = parsed.error.issues;
  const why =
    found === undefined
      ? `exports no ${layer}`
      : `exports a ${layer} whose ${formatPath(issue?.path ?? [])} is not as expected (${issue?.message})`;
  throw new ConfigError(
    `adopt.${layer}.fromStack`,
    `is ${name}, which ${why}`,
    `Name a stack of this project whose layers include ${layer}, and bring it up first`,
  );
}
