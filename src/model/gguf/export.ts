import { basename, dirname, resolve } from 'node:path';
import { HoneError, silentProgress, type Progress } from '../../core/index.js';
import { makeFolder } from '../../formats/index.js';
import { llamaTensorShapes, type ModelConfig } from '../config.js';
import { FAMILIES } from '../families.js';
import { pathKind } from '../files.js';
import { checkTensors, loadModelConfig } from '../folder.js';
import { openSafetensors } from '../safetensors.js';
import { llama3Divisors } from './config.js';
import { ENCODINGS, type GgufType } from './encode.js';
import { ggufTokenizerMetadata } from './export-tokenizer.js';
import { ggufName } from './import.js';
import { writeGguf, type GgufTensorSource, type GgufValue } from './writer.js';

/** What matrices are stored as; norms and biases are float32 in every case. */
export type GgufExportType = 'f32' | 'f16' | 'q8_0';

/** enum llama_ftype: ALL_F32, MOSTLY_F16, MOSTLY_Q8_0. */
const FILE_TYPES: Readonly<Record<GgufExportType, number>> = { f32: 0, f16: 1, q8_0: 7 };
const MATRIX_TYPES: Readonly<Record<GgufExportType, GgufType>> = { f32: 'F32', f16: 'F16', q8_0: 'Q8_0' };

/**
 * Writes a model folder as one GGUF file that llama.cpp and Ollama load: weights, tokenizer and chat template.
 * Matrices stay F32 or become F16 (rounded to nearest, ties to even) or Q8_0, where one whose rows are not a multiple of 32 values
 * becomes F16, as llama.cpp's own converter does it. The file appears whole or not at all; one tensor is in memory.
 * @throws HoneError('usage') when `out` exists; HoneError('input') on damaged models, on tokenizers llama.cpp would
 *   compute otherwise, and on layers it would rotate otherwise; HoneError('numeric') when a weight is not finite or
 *   does not fit F16; HoneError('resource') when the disk is full.
 */
export async function exportGguf(
  folder: string,
  out: string,
  options: { type: GgufExportType; onProgress?: Progress },
): Promise<void> {
  const progress = options.onProgress ?? silentProgress;
  if (await pathKind(out))
    throw new HoneError('usage', 'exists already', { where: out, hint: 'Choose another file with --out.' });
  const config = await loadModelConfig(folder);
  refuseOtherRotation(config, folder);
  const weights = await openSafetensors(folder);
  checkTensors(weights, config, folder);
  const metadata = new Map<string, GgufValue>([
    ...modelMetadata(config, basename(resolve(folder)), options.type),
    ...(await ggufTokenizerMetadata(folder, config.vocabSize)),
  ]);
  const shapes = llamaTensorShapes(config);
  await makeFolder(dirname(resolve(out)));
  progress.phase('write GGUF', shapes.size);
  let done = 0;
  const tensors = [...shapes].map(([name, shape]): GgufTensorSource => {
    const data = async () => {
      progress.update(++done);
      return permuted((await weights.read(name)).data, config, name);
    };
    return { name: ggufName(name), shape, type: tensorType(shape, options.type), data };
  });
  await writeGguf(out, metadata, [...ropeFrequencies(config), ...tensors]);
  progress.end();
}

/** SmolLM3: llama.cpp (src/models/smollm3.cpp) leaves every fourth layer unrotated, whatever the file says. */
function refuseOtherRotation({ nopeLayers, layers, architecture }: ModelConfig, where: string): void {
  if (!FAMILIES[architecture].nope) return;
  const fourths = Array.from({ length: layers }, (_, layer) => layer).filter((layer) => layer % 4 === 3);
  if (fourths.join() !== nopeLayers.join())
    throw new HoneError('input', 'no_rope_layers: llama.cpp computes only models with every fourth layer unrotated', {
      where,
      hint: 'Export a Hugging Face folder instead.',
    });
}

function tensorType(shape: readonly number[], type: GgufExportType): GgufType {
  if (shape.length === 1) return 'F32';
  const matrix = MATRIX_TYPES[type];
  return (shape.at(-1) ?? 0) % ENCODINGS[matrix].values === 0 ? matrix : 'F16';
}

/** Key names: gguf-py, gguf/constants.py. */
function modelMetadata(config: ModelConfig, name: string, type: GgufExportType): Map<string, GgufValue> {
  const own = (key: string) => `${config.architecture}.${key}`;
  return new Map<string, GgufValue>([
    ['general.architecture', { string: config.architecture }],
    ['general.type', { string: 'model' }],
    ['general.name', { string: name }],
    ['general.file_type', { u32: FILE_TYPES[type] }],
    ['general.quantization_version', { u32: 2 }],
    [own('vocab_size'), { u32: config.vocabSize }],
    [own('context_length'), { u32: config.maxContext }],
    [own('embedding_length'), { u32: config.hiddenSize }],
    [own('block_count'), { u32: config.layers }],
    [own('feed_forward_length'), { u32: config.mlpSize }],
    [own('attention.head_count'), { u32: config.heads }],
    [own('attention.head_count_kv'), { u32: config.kvHeads }],
    [own('attention.key_length'), { u32: config.headDim }],
    [own('attention.value_length'), { u32: config.headDim }],
    [own('attention.layer_norm_rms_epsilon'), { f32: config.rmsEps }],
    [own('rope.dimension_count'), { u32: config.headDim }],
    [own('rope.freq_base'), { f32: config.ropeTheta }],
  ]);
}

/** Llama 3.1's scaling as what each rotary frequency is divided by, [headDim / 2]. */
function ropeFrequencies(config: ModelConfig): GgufTensorSource[] {
  const { ropeScaling } = config;
  if (!ropeScaling) return [];
  const divisors = Float32Array.from(llama3Divisors(ropeScaling, config));
  return [{ name: 'rope_freqs.weight', shape: [divisors.length], type: 'F32', data: () => divisors }];
}

/**
 * For Llama and SmolLM3 llama.cpp rotates neighbouring rows of a head as a pair, where Hugging Face rotates rows half
 * a head apart: the halves of each head are interleaved (convert_hf_to_gguf.py, LlamaModel.permute).
 * @param data [heads * headDim, in], or [heads * headDim] for a bias
 */
function permuted(data: Float32Array, config: ModelConfig, name: string): Float32Array {
  const [, projection] = /\.([qk])_proj\.(?:weight|bias)$/.exec(name) ?? [];
  if (!projection || !FAMILIES[config.architecture].ggufPermutes) return data;
  const heads = projection === 'q' ? config.heads : config.kvHeads;
  const { headDim } = config;
  const rowLength = data.length / (heads * headDim);
  const out = new Float32Array(data.length);
  for (let row = 0; row < heads * headDim; row++) {
    const within = row % headDim;
    const pair = within % (headDim / 2);
    const part = within < headDim / 2 ? 0 : 1;
    const to = row - within + 2 * pair + part;
    out.set(data.subarray(row * rowLength, (row + 1) * rowLength), to * rowLength);
  }
  return out;
}
