import { textAt } from "../world.ts";
import { need } from "./parts.ts";
import type { Rules } from "./types.ts";

/** The project's own resources, as far as they are needed to deploy on AWS. */
export const GONE: Rules = {
  "openclaw:kube:Gone": {
    source: "plugin: its delete waits until no such object is left",
    id: (made) => `${made.inputs.kind}-${made.hex(8)}`,
    replaces: [],
    needs: [
      need(
        "what it waits for is gone",
        (row, world) => {
          const left = [...world.rows.values()].find((one) => {
            if (one.ghost || !one.type.startsWith("kubernetes:")) return false;
            if (!one.type.endsWith(`:${row.inputs.kind}`)) return false;
            const namespace = row.inputs.namespace;
            return !namespace || textAt(one.inputs, "metadata.namespace") === namespace;
          });
          return left ? `not gone in time: ${left.id}` : null;
        },
        ["delete"],
      ),
    ],
    settles: (row, world) => {
      const what = { NodeClaim: " nodes ", PersistentVolumeClaim: " volume " }[
        String(row.inputs.kind)
      ];
      return [...world.residue.values()].filter(
        ({ kind, name }) => kind === "ending" && what !== undefined && name.includes(what),
      );
    },
  },
};
