import type { Fault } from "../../components/errors.ts";
import { formatPath } from "../setting-path.ts";
import { type AdoptedLayer, LAYER_SHAPES } from "./layers.ts";
import { type AdoptSettings, LAYERS, type Layer } from "./settings.ts";

/** What is wrong with a stack's choice of layers. Every layer stands on those before it. */
export function layerFaults(layers: readonly Layer[], adopt: AdoptSettings): Fault[] {
  const faults: Fault[] = [];
  const last = Math.max(...layers.map((layer) => LAYERS.indexOf(layer)));
  for (const [i, layer] of LAYERS.entries()) {
    if (layer === "fleet") continue;
    const made = layers.includes(layer);
    if (made && adopt[layer] !== undefined) {
      faults.push({
        setting: `adopt.${layer}`,
        problem: `is set, and layers names ${layer}, so that this stack makes it itself`,
        remedy: `Leave it out, or take ${layer} out of layers`,
      });
    } else if (!made && adopt[layer] === undefined && i < last) {
      faults.push({
        setting: "layers",
        problem: `is ${layers.join(", ")}, without ${layer}, which ${LAYERS[last]} stands on`,
        remedy: `Add ${layer}, or set adopt.${layer} to the stack that makes it`,
      });
    }
  }
  for (const layer of Object.keys(LAYER_SHAPES) as AdoptedLayer[]) {
    const given = adopt[layer];
    if (given !== undefined && !("fromStack" in given)) faults.push(...shapeFaults(layer, given));
  }
  return faults;
}

function shapeFaults(layer: AdoptedLayer, given: unknown): Fault[] {
  const { error } = LAYER_SHAPES[layer].safeParse(given);
  return (error?.issues ?? []).map((issue) => ({
    setting: formatPath(["adopt", layer, ...issue.path]),
    problem:
      issue.code === "unrecognized_keys"
        ? `has ${issue.keys.join(", ")}, which it does not know`
        : `is not as it must be: ${issue.message}`,
    remedy: `Write what \`fleet output --json\` of the stack that made it shows as ${layer}, or use fromStack`,
  }));
}
