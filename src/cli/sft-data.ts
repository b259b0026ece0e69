import { HoneError, RandomStream } from '../core/index.js';
import { encodeChatForTraining, type ModelFolder } from '../model/index.js';
import { listSource, promptResponseExample, readChatExamples, type SftExample, type SftSource } from '../sft/index.js';
import { renderDemonstration, type Task } from '../tasks/index.js';
import { exists } from './checkpoint-model.js';
import type { TrainSettings } from './train-settings.js';

/** What supervised training imitates. */
export interface SftData {
  examples: SftSource;
  /** Examples for the evaluation loss, where `examples` has no end to set some apart from. */
  heldOut: SftSource | undefined;
}

type SftSettings = Extract<TrainSettings, { method: 'sft' }>;

interface Given {
  task: Task | undefined;
  folder: ModelFolder;
  seed: number;
}

/** Chats of `--data`, or the demonstrations of `--task`. @throws HoneError with `file:line` for a bad row. */
export async function sftData(settings: SftSettings, { task, folder, seed }: Given): Promise<SftData> {
  if ((settings.data === null) === (task === undefined))
    throw new HoneError('usage', 'give either --data FILE or --task NAME', {
      where: 'sft',
      hint: '--data trains on chats, --task on the demonstrations of a task.',
    });
  if (settings.data !== null) {
    if (!(await exists(settings.data)))
      throw new HoneError('input', 'there is no such file (--data)', {
        where: settings.data,
        hint: 'Give a JSONL file with one {"messages": [{"role", "content"}, ...]} a line.',
      });
    const chats = await readChatExamples(settings.data, (messages) => encodeChatForTraining(folder, messages));
    return { examples: listSource(chats), heldOut: undefined };
  }
  return demonstrations(task as Task, settings, folder, seed);
}

function demonstrations(task: Task, settings: SftSettings, folder: ModelFolder, seed: number): SftData {
  const { style, count } = settings.demonstrations;
  const { demonstrate } = task;
  if (demonstrate === undefined)
    throw new HoneError('usage', `task ${task.name} has no demonstrations to imitate`, {
      where: '--task',
      hint: 'Give chats to imitate with --data, or choose another task (hone tasks list).',
    });
  const source = (problemSeed: number, size: number): SftSource => {
    const problems = task.problems('train', problemSeed);
    const at = (index: number): SftExample => {
      const random = new RandomStream(problemSeed, 'demonstration', style, index);
      const demonstration = demonstrate.call(task, problems.at(index), style, random);
      const { tokens, promptLength } = renderDemonstration(task, demonstration, folder);
      return promptResponseExample(tokens, promptLength);
    };
    return { size: Math.min(size, problems.size), at };
  };
  const examples = source(seed, count ?? Infinity);
  if (examples.size !== Infinity || settings.training.heldOut === 0) return { examples, heldOut: undefined };
  // A seed of its own: an endless family has no examples to set apart.
  const heldOutSeed = new RandomStream(seed, 'held-out-demonstrations').seed(0);
  return { examples, heldOut: source(heldOutSeed, settings.training.heldOut) };
}
