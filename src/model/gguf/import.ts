import { join } from 'node:path';
import { HoneError, silentProgress, type Progress } from '../../core/index.js';
import { makeFolder } from '../../formats/index.js';
import { llamaTensorShapes, toHfConfig, type ModelConfig } from '../config.js';
import { FAMILIES } from '../families.js';
import { writeJson } from '../files.js';
import { writeSafetensors, type TensorSource } from '../safetensors.js';
import { parseTokenizerJson, vocabularySize } from '../tokenizer-json.js';
import { ggufConfig } from './config.js';
import { openGguf, type GgufFile } from './file.js';
import { ggufTokenizerFiles } from './tokenizer.js';

/** Names inside a layer: Hugging Face's and llama.cpp's. */
const LAYER_NAMES: ReadonlyMap<string, string> = new Map([
  ['input_layernorm', 'attn_norm'],
  ['self_attn.q_proj', 'attn_q'],
  ['self_attn.k_proj', 'attn_k'],
  ['self_attn.v_proj', 'attn_v'],
  ['self_attn.q_norm', 'attn_q_norm'],
  ['self_attn.k_norm', 'attn_k_norm'],
  ['self_attn.o_proj', 'attn_output'],
  ['post_attention_layernorm', 'ffn_norm'],
  ['mlp.gate_proj', 'ffn_gate'],
  ['mlp.up_proj', 'ffn_up'],
  ['mlp.down_proj', 'ffn_down'],
]);
const OUTER_NAMES: ReadonlyMap<string, string> = new Map([
  ['model.embed_tokens.weight', 'token_embd.weight'],
  ['model.norm.weight', 'output_norm.weight'],
  ['lm_head.weight', 'output.weight'],
]);

/** llama.cpp's name of a Hugging Face tensor. */
export function ggufName(name: string): string {
  const [, layer, inner, kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
  const mapped = inner === undefined ? OUTER_NAMES.get(name) : LAYER_NAMES.get(inner);
  if (mapped === undefined) throw new HoneError('usage', `${name} is not a tensor of a model hone computes`);
  return layer === undefined ? mapped : `blk.${layer}.${mapped}.${kind}`;
}

/**
 * Imports a GGUF file of one of the families into a Hugging Face folder: config.json, model.safetensors in
 * float32 (dequantised one tensor at a time), tokenizer.json, tokenizer_config.json with the chat template, and
 * generation_config.json. config.json is written last, so an interrupted import is not mistaken for a model.
 * @throws HoneError('input') on damaged files and unsupported variants, before anything large is read;
 *   HoneError('resource') when the disk is full.
 */
export async function importGguf(
  path: string,
  outFolder: string,
  options: { onProgress?: Progress } = {},
): Promise<void> {
  const progress = options.onProgress ?? silentProgress;
  const file = await openGguf(path);
  const config = await ggufConfig(file);
  const tokenizerFiles = ggufTokenizerFiles(file);
  const tokens = vocabularySize(parseTokenizerJson(tokenizerFiles['tokenizer.json'], path));
  if (tokens > config.vocabSize)
    throw new HoneError('input', `tokenizer does not fit: ${tokens} tokens for an embedding of ${config.vocabSize}`, {
      where: path,
    });
  const tensors = expectedTensors(file, config);
  await makeFolder(outFolder);
  progress.phase('import weights', tensors.length);
  let done = 0;
  const counted = tensors.map(([name, shape]): [string, TensorSource] => {
    const data = async () => {
      progress.update(++done);
      return readGgufTensor(file, config, name);
    };
    return [name, { shape, data }];
  });
  await writeSafetensors(join(outFolder, 'model.safetensors'), counted);
  for (const [name, content] of Object.entries(tokenizerFiles)) await writeJson(join(outFolder, name), content);
  await writeJson(join(outFolder, 'config.json'), toHfConfig(config));
  progress.end();
}

/** Every tensor the model needs, checked to be in the file with the right shape, and none besides. */
function expectedTensors(file: GgufFile, config: ModelConfig): [string, number[]][] {
  const expected = [...llamaTensorShapes(config)];
  const known = new Set(['rope_freqs.weight', ...expected.map(([name]) => ggufName(name))]);
  for (const name of file.tensors.keys())
    if (!known.has(name))
      throw new HoneError('input', `tensor ${name} has no place in a ${config.architecture} model`, {
        where: file.path,
        hint: 'Models with further parts are not supported.',
      });
  for (const [name, shape] of expected) {
    const found = file.tensors.get(ggufName(name));
    if (!found) throw new HoneError('input', `has no tensor ${ggufName(name)}`, { where: file.path });
    if (found.shape.join() !== shape.join())
      throw new HoneError('input', `tensor ${found.name} has shape [${found.shape}], expected [${shape}]`, {
        where: file.path,
      });
  }
  return expected;
}

/** One tensor by its Hugging Face name, with the rows of query and key projections in Hugging Face's order. */
export async function readGgufTensor(file: GgufFile, config: ModelConfig, name: string): Promise<Float32Array> {
  const data = await file.read(ggufName(name));
  const [, projection] = /\.([qk])_proj\.(?:weight|bias)$/.exec(name) ?? [];
  if (!projection || !FAMILIES[config.architecture].ggufPermutes) return data;
  return unpermuteRows(data, projection === 'q' ? config.heads : config.kvHeads, config.headDim);
}

/**
 * For Llama and SmolLM3 llama.cpp rotates neighbouring rows of a head as a pair, Hugging Face rows half a head apart;
 * its converter (convert_hf_to_gguf.py, LlamaModel.permute) interleaves the halves, and this takes them apart again.
 * @param data [heads * headDim, in], or [heads * headDim] for a bias
 */
function unpermuteRows(data: Float32Array, heads: number, headDim: number): Float32Array {
  const rowLength = data.length / (heads * headDim);
  const half = headDim / 2;
  const out = new Float32Array(data.length);
  for (let head = 0; head < heads; head++)
    for (let i = 0; i < half; i++)
      for (const part of [0, 1]) {
        const from = (head * headDim + 2 * i + part) * rowLength;
        const to = (head * headDim + part * half + i) * rowLength;
        out.set(data.subarray(from, from + rowLength), to);
      }
  return out;
}
