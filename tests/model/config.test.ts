import { describe, expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import { llamaTensorShapes, parameterCount, parseModelConfig, toHfConfig } from '../../src/model/index.js';

const smol = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 49152,
  hidden_size: 576,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  intermediate_size: 1536,
  rope_theta: 100000,
  rope_scaling: null,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 8192,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: 'silu',
};
const llama3 = {
  rope_type: 'llama3',
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

describe('parseModelConfig', () => {
  it('reads a Llama config and fills what LlamaConfig leaves implicit', () => {
    const config = parseModelConfig(smol, 'config.json');
    expect(config).toMatchObject({ heads: 9, kvHeads: 3, headDim: 64, ropeTheta: 100000, tieEmbeddings: true });
    expect(config.eosIds).toEqual([2]);
    expect(config.ropeScaling).toBeUndefined();
    const bare = parseModelConfig(
      { ...smol, num_key_value_heads: undefined, rope_theta: undefined, tie_word_embeddings: undefined },
      'config.json',
    );
    expect(bare).toMatchObject({ kvHeads: 9, ropeTheta: 10000, tieEmbeddings: false });
  });

  it('reads rope settings where transformers 4 and 5 write them', () => {
    const four = parseModelConfig({ ...smol, rope_theta: 5e5, rope_scaling: llama3 }, 'c');
    const five = parseModelConfig(
      { ...smol, rope_theta: undefined, rope_parameters: { ...llama3, rope_theta: 5e5 } },
      'c',
    );
    expect(five).toEqual(four);
    expect(four.ropeScaling).toEqual({
      type: 'llama3',
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxContext: 8192,
    });
  });

  it('survives a round trip through toHfConfig', () => {
    for (const source of [smol, { ...smol, rope_scaling: llama3, eos_token_id: [2, 5], bos_token_id: null }]) {
      const config = parseModelConfig(source, 'c');
      expect(parseModelConfig(JSON.parse(JSON.stringify(toHfConfig(config))), 'c')).toEqual(config);
    }
  });

  it.each([
    [{ model_type: 'mamba' }, 'model_type: unknown architecture "mamba"'],
    [{ model_type: undefined }, 'model_type: is missing'],
    [{ architectures: ['LlamaForSequenceClassification'] }, 'architectures: unknown architecture'],
    [{ attention_bias: true }, 'attention_bias'],
    [{ mlp_bias: true }, 'mlp_bias'],
    [{ hidden_act: 'gelu' }, 'hidden_act: must be "silu"'],
    [{ rope_scaling: { type: 'yarn', factor: 4 } }, 'rope_scaling: unknown rope type "yarn"'],
    [{ rope_parameters: { rope_type: 'llama3' } }, 'rope_parameters: llama3 needs factor'],
    [{ vocab_size: 1.5 }, 'vocab_size'],
    [{ vocab_size: 1e12 }, 'vocab_size'],
    [{ num_hidden_layers: undefined }, 'num_hidden_layers'],
    [{ rms_norm_eps: 0 }, 'rms_norm_eps'],
    [{ num_key_value_heads: 2 }, 'num_key_value_heads'],
    [{ num_attention_heads: 7, num_key_value_heads: 7 }, 'hidden_size: 576 is not a multiple'],
    [{ head_dim: 63 }, 'head_dim'],
    [{ eos_token_id: 49152 }, 'eos_token_id: 49152 is outside'],
    [{ quantization_config: { bits: 4 } }, 'quantization_config'],
  ])('refuses %j by name', (change, message) => {
    const parse = () => parseModelConfig({ ...smol, ...change }, 'config.json');
    expect(parse).toThrow(HoneError);
    expect(parse).toThrow(message);
  });

  it.each([null, [], 'llama', 7])('refuses %j', (json) => {
    expect(() => parseModelConfig(json, 'config.json')).toThrow(HoneError);
  });
});

describe('llamaTensorShapes', () => {
  it('lists the tensors of SmolLM2-135M', () => {
    const config = parseModelConfig(smol, 'c');
    const shapes = llamaTensorShapes(config);
    expect(shapes.size).toBe(2 + 30 * 9);
    expect(shapes.get('model.layers.29.self_attn.k_proj.weight')).toEqual([192, 576]);
    expect(shapes.has('lm_head.weight')).toBe(false);
    expect(parameterCount(config)).toBe(134_515_008);
  });

  it('has an LM head when embeddings are not tied', () => {
    const shapes = llamaTensorShapes(parseModelConfig({ ...smol, tie_word_embeddings: false }, 'c'));
    expect(shapes.get('lm_head.weight')).toEqual([49152, 576]);
  });
});
