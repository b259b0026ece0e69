import type { Command } from 'commander';
import type { Io } from '../io.js';
import { exportCommand, importCommand, type ImportOptions, infoCommand } from '../model-files.js';
import { examples, withCommonOptions } from '../options.js';

export function define(command: Command, io: Io): void {
  const importing = withCommonOptions(command.command('import'))
    .description('Makes a model folder from a Hugging Face folder, a GGUF file or a Hub repository.')
    .argument('<source>', 'folder, .gguf file, or owner/name on the Hugging Face Hub (HF_TOKEN: access token)')
    .requiredOption('--out <folder>', 'model folder to write')
    .option('--revision <commit>', 'Hub only: branch, tag or commit')
    .action((source: string, options: ImportOptions) => importCommand(source, options, io));
  examples(importing, [
    'hone models import SmolLM2-135M-Instruct-Q4_1.gguf --out models/smollm2',
    'hone models import HuggingFaceTB/SmolLM2-135M-Instruct --out models/smollm2',
  ]);
  const exporting = withCommonOptions(command.command('export'))
    .description('Writes a trained model as a Hugging Face folder that other tools load.')
    .argument('<model>', 'model folder, run folder or checkpoint')
    .requiredOption('--out <folder>', 'folder to write')
    .action((model: string, options: { out: string }) => exportCommand(model, options, io));
  examples(exporting, ['hone models export runs/my-run --out my-model']);
  const info = withCommonOptions(command.command('info'))
    .description('Architecture, size, tokenizer and chat template of a model.')
    .argument('<model>', 'model folder, .gguf file, run folder or checkpoint')
    .action((model: string) => infoCommand(model, io));
  examples(info, ['hone models info models/smollm2', 'hone models info runs/my-run --json']);
  examples(command, ['hone models import model.gguf --out models/mine', 'hone models info models/mine']);
}
