import { HoneError } from '../core/index.js';
import { diffRecipes, listRecipes, type ResolvedRecipe, type ResolvedValue, resolveRecipe } from '../recipes/index.js';
import type { RlConfig } from '../rl/index.js';
import type { SftConfig } from '../sft/index.js';
import type { Io } from './io.js';
import { table } from './table.js';
import { oneLine } from './text.js';

export function listCommand(io: Io): void {
  const recipes = listRecipes();
  const rows = recipes.map(({ name, title, system, method }) => ({ name, title, system, method }));
  io.result(rows, () => {
    io.print(
      table(
        ['recipe', 'what it is', 'follows'],
        rows.map(({ name, title, system }) => [name, title, system]),
        io,
      ),
    );
    io.print('\nhone recipes show <recipe> has every setting, hone train <recipe> --set path=value changes one.');
  });
}

export function showCommand(name: string, { preset }: { preset: string }, io: Io): void {
  const resolved = resolveRecipe(name, preset);
  const { recipe, values, assumed } = resolved;
  io.result(
    { name, preset, method: recipe.method, system: recipe.system, values: values.map((value) => ({ ...value })) },
    () => {
      io.print(`${io.color.bold(recipe.name)}, preset ${preset}: ${recipe.title}\n${recipe.system}\n`);
      const rows = values.map(({ path, value, status, source, unread }) => [
        path,
        oneLine(JSON.stringify(value)),
        unread ? 'not read' : status,
        source,
      ]);
      io.print(table(['setting', 'value', 'status', 'source'], rows, io));
      if (preset === 'paper' && assumed.length > 0)
        io.print(
          `\n${assumed.length} values are assumed: hone train ${name} --preset paper asks for --accept-assumed.`,
        );
    },
  );
}

export function diffCommand(a: string, b: string, { preset }: { preset: string }, io: Io): void {
  const { differing, same } = diffRecipes(a, b, preset);
  const json = differing.map((row) => ({ path: row.path, a: { ...row.a }, b: { ...row.b } }));
  io.result({ a, b, preset, same, differing: json }, () => {
    const cell = ({ value, status }: ResolvedValue): string => `${oneLine(JSON.stringify(value))}  (${status})`;
    if (differing.length > 0)
      io.print(
        table(
          ['setting', a, b],
          differing.map((row) => [row.path, cell(row.a), cell(row.b)]),
          io,
        ),
      );
    io.print(`${differing.length === 0 ? 'All' : `\n${differing.length} settings differ,`} ${same} are the same.`);
  });
}

export interface TrainingChoice {
  preset: string;
  set: readonly [string, string][];
  acceptAssumed: boolean;
}

/**
 * The configuration a run trains with.
 * @throws HoneError('usage') for unknown names, paths and values, and for a paper preset whose assumed values nobody
 *   has accepted.
 */
export function resolveTraining(
  name: string,
  { preset, set, acceptAssumed }: TrainingChoice,
  io: Io,
): { method: 'rl'; training: RlConfig } | { method: 'sft'; training: SftConfig } {
  const resolved = resolveRecipe(name, preset, Object.fromEntries(set));
  if (preset === 'paper') confirmAssumed(resolved, acceptAssumed, io);
  return resolved.method === 'rl'
    ? { method: 'rl', training: resolved.config }
    : { method: 'sft', training: resolved.config };
}

function confirmAssumed({ recipe, assumed }: ResolvedRecipe, accepted: boolean, io: Io): void {
  if (assumed.length === 0) return;
  for (const { path, value, source } of assumed)
    io.progress.note(`assumed: ${path} = ${JSON.stringify(value)} (${source})`);
  if (accepted) return;
  throw new HoneError('usage', `${assumed.length} values of ${recipe.name} are not in the paper but assumed (above)`, {
    where: '--preset paper',
    hint: 'Accept them with --accept-assumed, or set them with --set path=value.',
  });
}
