import type { Command } from 'commander';
import type { Io } from '../io.js';
import {
  exportCommand,
  type ExportOptions,
  importCommand,
  type ImportOptions,
  infoCommand,
  mergeCommand,
} from '../model-files.js';
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
    .description(
      'Writes a trained model for other tools: a Hugging Face folder, a GGUF file for llama.cpp and Ollama, or its adapter for PEFT.',
    )
    .argument('<model>', 'model folder, run folder or checkpoint')
    .requiredOption('--out <path>', 'folder, or .gguf file, to write')
    .option('--format <format>', 'hf (folder), gguf (file), or peft (folder with the adapter of a --lora run)', 'hf')
    .option('--type <type>', 'gguf only: f32, f16 or q8_0 (default f16)')
    .action((model: string, options: ExportOptions) => exportCommand(model, options, io));
  examples(exporting, [
    'hone models export runs/my-run --out my-model',
    'hone models export runs/my-run --format gguf --type q8_0 --out my-model.gguf',
    'hone models export runs/my-lora-run --format peft --out my-adapter',
  ]);
  const merging = withCommonOptions(command.command('merge'))
    .description('Folds an adapter (LoRA) into the model it was trained on, and writes a model folder.')
    .argument('<base>', 'model folder, run folder or checkpoint')
    .argument('<adapter>', 'PEFT folder, or a run or checkpoint of hone train --lora')
    .requiredOption('--out <folder>', 'model folder to write')
    .action((base: string, adapter: string, options: { out: string }) => mergeCommand(base, adapter, options, io));
  examples(merging, ['hone models merge models/smollm2 my-adapter --out models/merged']);
  const info = withCommonOptions(command.command('info'))
    .description('Architecture, size, tokenizer and chat template of a model.')
    .argument('<model>', 'model folder, .gguf file, run folder or checkpoint')
    .action((model: string) => infoCommand(model, io));
  examples(info, ['hone models info models/smollm2', 'hone models info runs/my-run --json']);
  examples(command, ['hone models import model.gguf --out models/mine', 'hone models info models/mine']);
}
