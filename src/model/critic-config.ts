import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { llamaTensorShapes, parseModelConfig, toHfConfig, type ModelConfig } from './config.js';
import { FAMILIES } from './families.js';
import { parseWith } from './parse.js';
import { openSafetensors } from './safetensors.js';
import { readTensors } from './tensors.js';

/**
 * A critic as a file: the body of a decoder, and a linear head with one output in place of the LM head. The names are
 * those of transformers' classes ...ForTokenClassification with one label (modeling_layers.py), which verl's critic is
 * made of. ...ForSequenceClassification, the form of most reward models, has the same head without a bias.
 */
export const VALUE_HEAD = 'score.weight';
export const VALUE_BIAS = 'score.bias';

const named = z.looseObject({ architectures: z.array(z.string()).nullish() });

/** The same decoder without an LM head: the flag that says a model has no matrix of its own for it is set. */
function withoutLmHead(config: ModelConfig): ModelConfig {
  return { ...config, tieEmbeddings: true };
}

function classOf(config: ModelConfig, task: 'CausalLM' | 'TokenClassification' | 'SequenceClassification'): string {
  return FAMILIES[config.architecture].className.replace('CausalLM', task);
}

/** Every tensor of the critic with its shape, in layer order. */
export function criticTensorShapes(config: ModelConfig): Map<string, number[]> {
  return new Map([
    ...llamaTensorShapes(withoutLmHead(config)),
    [VALUE_HEAD, [1, config.hiddenSize]],
    [VALUE_BIAS, [1]],
  ]);
}

/**
 * Reads the `config.json` that a critic can start from: of a policy, a critic, or a reward model of one score.
 * @returns the shape of the body; `head`: the weights beside it have to hold a value head
 * @throws HoneError('input') as `parseModelConfig`
 */
export function parseCriticConfig(json: unknown, where: string): { config: ModelConfig; head: boolean } {
  const { architectures, ...rest } = parseWith(named, json, where);
  const config = parseModelConfig(rest, where);
  const [name] = architectures ?? [];
  const classes = (['CausalLM', 'TokenClassification', 'SequenceClassification'] as const).map((task) =>
    classOf(config, task),
  );
  if (name !== undefined && !classes.includes(name))
    throw new HoneError('input', `architectures: "${name}" is nothing a critic can start from`, {
      where,
      hint: `It can be one of ${classes.join(', ')}.`,
    });
  return { config: withoutLmHead(config), head: name !== undefined && name !== classes[0] };
}

/**
 * Weights of a critic from a safetensors file or folder: the body, and the value head where there is one. Without one
 * (a policy) the head is zero; a head without a bias (a reward model) gets a bias of zero.
 * @param head refuse weights that have no value head
 * @throws HoneError('input') when a tensor is missing or misshapen
 */
export async function readCriticTensors(
  path: string,
  config: ModelConfig,
  head: boolean,
): Promise<Map<string, Float32Array>> {
  const shapes = criticTensorShapes(config);
  const names = (await openSafetensors(path)).names();
  const absent = [VALUE_HEAD, VALUE_BIAS].filter((name) => !names.includes(name));
  if (absent.includes(VALUE_HEAD) && head)
    throw new HoneError('input', `weights lack tensor ${VALUE_HEAD}`, {
      where: path,
      hint: 'config.json names a model with a score for each token; the weights do not belong to it.',
    });
  const present = new Map([...shapes].filter(([name]) => !absent.includes(name)));
  const read = await readTensors(path, present);
  return new Map(
    [...shapes].map(([name, shape]) => [name, read.get(name) ?? new Float32Array(shape.reduce(times, 1))]),
  );
}

const times = (a: number, b: number): number => a * b;

/** The `config.json` of a critic: transformers opens it as ...ForTokenClassification with one label, without dropout. */
export function toCriticConfig(config: ModelConfig): Record<string, unknown> {
  return {
    ...toHfConfig(config),
    architectures: [classOf(config, 'TokenClassification')],
    tie_word_embeddings: false,
    id2label: { 0: 'value' },
    label2id: { value: 0 },
    classifier_dropout: 0,
  };
}
