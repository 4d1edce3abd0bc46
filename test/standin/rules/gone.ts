import type { Props } from "../../../plugin/values.ts";
import { type Row, textAt } from "../world.ts";
import { KNOWN_CHARTS } from "./charts.ts";
import { chartName, RELEASE } from "./helm.ts";
import { need } from "./parts.ts";
import type { Rules } from "./types.ts";

/** Whether a living object makes such as are waited for again and again. */
function makes(one: Row, { inputs }: Row): boolean {
  const pool = String(inputs.labelSelector).split("=").at(-1);
  if (inputs.kind === "NodeClaim") {
    return one.type.endsWith(":NodePool") && textAt(one.inputs, "metadata.name") === pool;
  }
  if (inputs.kind !== "PersistentVolumeClaim" || one.type !== RELEASE) return false;
  const values = (one.inputs.values ?? {}) as Props;
  const claims = KNOWN_CHARTS[chartName(one.inputs)]?.claims?.(values) ?? [];
  return one.inputs.namespace === inputs.namespace && claims.length > 0;
}

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
            if (one.scope.cluster?.split("/").at(-1) !== row.inputs.cluster) return false;
            if (makes(one, row)) return true;
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
      const { kind, labelSelector, namespace } = row.inputs;
      const what = {
        NodeClaim: ` nodes of pool ${String(labelSelector).split("=").at(-1)} `,
        PersistentVolumeClaim: ` of ${namespace}/`,
        TargetGroupBinding: " targets of binding ",
      }[String(kind)];
      return [...world.residue.values()].filter(
        (one) => one.kind === "ending" && what !== undefined && one.name.includes(what),
      );
    },
  },
};
