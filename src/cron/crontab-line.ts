import { isHowdahError } from "../errors.ts";
import { type CronEntry, readCronEntry } from "./cron.ts";
import { CrontabFault } from "./crontab-fault.ts";
import { readCrontabOptions } from "./crontab-options.ts";
import { readCrontabPayload } from "./crontab-payload.ts";
import { expand, FIELD_COUNTS, parseFields } from "./expression.ts";
import { type Fail, looksLikeField, shown } from "./field.ts";
import { splitWords, type Word } from "./words.ts";

/** An entry, and the place to report when its id is already in use. */
export interface CrontabLine {
  readonly entry: CronEntry;
  readonly idOffset: number;
}

const TASK = /^[a-z_][a-z0-9:_./-]*$/i;

/**
 * Reads one line of a crontab: the fields, the task, and if there are any the
 * options and the payload. `undefined` for an empty line and a comment. Throws
 * {@link CrontabFault}.
 */
export function parseCrontabLine(line: string): CrontabLine | undefined {
  const written = splitWords(line);
  if (written.length === 0 || written[0]?.text.startsWith("#")) return undefined;
  const words = expand(written, fail);
  const end = line.trimEnd().length;
  if (words.length <= FIELD_COUNTS.withoutSeconds) {
    const found = words === written ? `${words.length} words` : "no task";
    fail(end, `expected ${FIELD_COUNTS.withoutSeconds} fields and a task, found ${found}`);
  }
  const fields = words.slice(0, words === written ? countFields(words) : FIELD_COUNTS.withoutSeconds);
  const expression = parseFields(fields, fail);
  const task = readTask(words[fields.length], end);
  const afterTask = words[fields.length + 1];
  const options = afterTask?.text.startsWith("?") ? readCrontabOptions(afterTask, fail) : undefined;
  const payload = readPayload(line, options === undefined ? afterTask : words[fields.length + 2]);
  const { id = task.text, idOffset = task.offset, fill = 0, timeZone, spec = {} } = options ?? {};
  const given = { id, task: task.text, schedule: expression.text, timeZone, fill, payload, spec };
  return { entry: readEntry(given, words[0]?.offset ?? 0), idOffset };
}

/** The checks of a typed entry, with the place of the line. */
function readEntry(given: object, offset: number): CronEntry {
  try {
    return readCronEntry({ owner: "crontab", path: "" }, given);
  } catch (error) {
    if (!isHowdahError(error)) throw error;
    return fail(offset, error.message.replace(/[.]$/, ""));
  }
}

/** Six when the sixth word cannot be a task, or when it could be a day and a task follows. */
function countFields(words: readonly Word[]): number {
  const { withoutSeconds, withSeconds } = FIELD_COUNTS;
  const [sixth, seventh] = words.slice(withoutSeconds);
  if (sixth === undefined || !looksLikeField(sixth.text)) return withoutSeconds;
  const isNumeric = !TASK.test(sixth.text);
  return isNumeric || (seventh !== undefined && TASK.test(seventh.text)) ? withSeconds : withoutSeconds;
}

function readTask(task: Word | undefined, end: number): Word {
  if (task === undefined) return fail(end, "expected a task after the fields, found nothing");
  if (TASK.test(task.text)) return task;
  return fail(task.offset, `expected a task, which begins with a letter or \`_\`, found ${shown(task.text)}`);
}

function readPayload(line: string, word: Word | undefined): object {
  if (word === undefined) return {};
  if (word.text.startsWith("{")) return readCrontabPayload(line, word.offset, fail);
  return fail(word.offset, `expected ?options, a {payload} or the end of the line, found ${shown(word.text)}`);
}

const fail: Fail = (offset, message) => {
  throw new CrontabFault(offset, message);
};
