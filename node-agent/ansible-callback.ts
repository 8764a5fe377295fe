// What makes ansible-playbook say what it does in lines of JSON: a callback plugin, in the file that
// MUSTER_EVENTS names. What a task hides by `no_log` comes hidden.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** The name of the plugin, and of its file without the ending. */
export const callbackName = "muster_events";

/** What a task has done. */
export type AnsibleResult = {
  name: string;
  /** Such as `template`. */
  action: string;
  /** `FILE:LINE`. */
  path: string;
  /** ok, changed, skipped, failed or ignored. */
  status: string;
  message: string;
  diff: string;
};

/** One line of the file. */
export type AnsibleEvent =
  | { event: "total"; tasks: number }
  | { event: "task"; name: string }
  | { event: "result"; result: AnsibleResult };

/** Undefined for what is no such line. */
export function eventOf(line: string): AnsibleEvent | undefined {
  const fields = fieldsOf(line);
  const text = (name: string) => String(fields[name] ?? "");
  switch (fields.event) {
    case "total":
      return { event: "total", tasks: Number(fields.tasks) || 0 };
    case "task":
      return { event: "task", name: text("name") };
    case "result": {
      const [name, action, path] = [text("name"), text("action"), text("path")];
      const [status, message, diff] = [text("status"), text("message"), text("diff")];
      return { event: "result", result: { name, action, path, status, message, diff } };
    }
    default:
      return undefined;
  }
}

function fieldsOf(line: string): JsonObject {
  try {
    const value = JSON.parse(line) as JsonValue;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

export const callbackPlugin = `
import json
import os

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = '''
name: ${callbackName}
type: notification
short_description: says in lines of JSON what is done
description: For the agent that has started the playbook.
'''


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'notification'
    CALLBACK_NAME = '${callbackName}'
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super(CallbackModule, self).__init__(*args, **kwargs)
        self._file = open(os.environ['MUSTER_EVENTS'], 'a')

    def _say(self, **event):
        self._file.write(json.dumps(event, default=str) + '\\n')
        self._file.flush()

    def v2_playbook_on_start(self, playbook):
        try:
            total = sum(self._count(play) for play in playbook.get_plays())
        except Exception:
            total = 0
        self._say(event='total', tasks=total)

    def _count(self, play):
        only = context.CLIARGS.get('tags') or ['all']
        skip = context.CLIARGS.get('skip_tags') or []
        tasks = []

        def walk(items):
            for item in items:
                if hasattr(item, 'block'):
                    # What a rescue does is no part of a run that goes well.
                    walk(item.block)
                    walk(item.always)
                else:
                    tasks.append(item)

        walk(play.compile())
        known = [t for t in tasks if t.action not in ('meta', 'ansible.builtin.meta')]
        gathers = 0 if play.gather_facts is False else 1
        return gathers + len([t for t in known if t.evaluate_tags(only, skip, all_vars={})])

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._say(event='task', name=task.get_name())

    def v2_playbook_on_handler_task_start(self, task):
        self._say(event='task', name=task.get_name())

    def _result(self, result, status, message=''):
        task = result._task
        self._say(event='result', name=task.get_name(), action=task.action, path=task.get_path() or '',
                  status=status, message=message, diff=self._diffs(result._result))

    def _diffs(self, result):
        parts = []
        for item in result.get('results') or [result]:
            diff = item.get('diff') if isinstance(item, dict) else None
            if diff and item.get('changed'):
                try:
                    parts.append(self._get_diff([self._named(one) for one in self._listed(diff)]))
                except Exception:
                    pass
        return ''.join(parts)

    def _listed(self, diff):
        return diff if isinstance(diff, list) else [diff]

    def _named(self, diff):
        # What comes after has the name of a temporary file.
        if not isinstance(diff, dict) or not diff.get('before_header'):
            return diff
        return dict(diff, after_header=diff['before_header'])

    def _message(self, result):
        found = []
        failed = [item for item in result.get('results') or [] if isinstance(item, dict) and item.get('failed')]
        for item in failed or [result]:
            for key in ('msg', 'stderr', 'module_stderr', 'exception', 'stdout'):
                text = str(item.get(key) or '').strip()
                if text:
                    found.append(text)
                    if key != 'msg' or text != 'non-zero return code':
                        break
        return '; '.join(found)

    def v2_runner_on_ok(self, result):
        self._result(result, 'changed' if result._result.get('changed') else 'ok')

    def v2_runner_on_skipped(self, result):
        self._result(result, 'skipped')

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result(result, 'ignored' if ignore_errors else 'failed', self._message(result._result))

    def v2_runner_on_unreachable(self, result):
        self._result(result, 'failed', self._message(result._result))
`;
