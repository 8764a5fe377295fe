// Makes a directory as one beside the manifest.
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { groupId, userId } from "../owners.ts";
import { treeOf } from "../source-trees.ts";
import type { Step } from "../step.ts";
import { syncTree } from "../sync-tree.ts";

export const sync: Step<"sync"> = async ({ source, path, delete: remove, owner, group }, context) => {
  const { run, progress, check } = context;
  const named = await treeOf(source, context);
  const totalItems = named.tree.entries.length;
  progress({ activity: `comparing ${path}`, totalItems });
  const ids = { uid: await userId(owner, run), gid: await groupId(group, run) };
  const changes = await syncTree({ ...named, target: path, remove, ...ids }, context, (done, changed) =>
    progress({ currentItems: done, changedItems: changed }),
  );
  const verb = check ? "would change" : "changed";
  return {
    result: changes.length
      ? `${path}: ${changes.length} ${verb}, of ${totalItems} entries`
      : `${path}: unchanged`,
    outcome: changes.length ? TaskOutcome.CHANGED : TaskOutcome.OK,
    changes,
  };
};
